/**
 * The files of a library's ext4, by debugfs(8): the top folder alone, since a library has no other.
 */
import { type FileHandle, open } from 'node:fs/promises'
import { join } from 'node:path'
import type { ToolRunner } from '../base/tool.js'
import type { Bytes } from '../base/units.js'
import type { ComparedFile } from './compare.js'

/** Seconds that debugfs gets: a hostile file system must not hold us. */
const TIMEOUT = 300

/** More files than this are no library. */
const MOST_FILES = 1000

/** What we give to debugfs as a name; it has words of its own for blanks and quotes. */
const PLAIN_NAME = /^[\w.-]+$/

/**
 * Every file of the ext4 at `offset` of `image`, copied to `folder`, which is new; they are read until `close`. Throws
 * KeyvisorError `tool-missing`, `tool-failed` and `tool-timeout`.
 */
export async function libraryFiles(
  image: string,
  offset: Bytes,
  folder: string,
  tools: ToolRunner,
): Promise<{ files: ComparedFile[]; close: () => Promise<void> }> {
  const debugfs = async (command: string) => {
    const args = ['-R', command, `${image}?offset=${offset}`]
    const binds = [{ path: image }, { path: folder, write: true }]
    return (await tools.run({ tool: 'debugfs', args, binds, timeout: TIMEOUT })).stdout
  }
  const opened: FileHandle[] = []
  const close = async () => {
    for (const file of opened) await file.close()
  }
  try {
    const files = parseListing(await debugfs('ls -p /')).slice(0, MOST_FILES)
    for (const item of files.filter(({ facts, path }) => isPlain(facts, path))) {
      const copy = join(folder, item.path.slice(1))
      await debugfs(`dump ${item.path} "${copy}"`)
      const file = await open(copy, 'r').catch(() => undefined)
      if (!file) continue
      opened.push(file)
      item.read = async (at, length) => {
        const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, at)
        return buffer.subarray(0, bytesRead)
      }
    }
    return { files, close }
  } catch (error) {
    await close()
    throw error
  }
}

function isPlain({ mode }: ComparedFile['facts'], path: string): boolean {
  return String(mode).startsWith('10') && PLAIN_NAME.test(path.slice(1))
}

/** Lines of `/INODE/MODE/UID/GID/NAME/SIZE/`. */
function parseListing(text: string): ComparedFile[] {
  return text.split('\n').flatMap((line) => {
    const match = /^\/\d+\/(\d+)\/(\d+)\/(\d+)\/(.*)\/(\d*)\/$/.exec(line)
    const [, mode = '', uid = '', gid = '', name = '', size = ''] = match ?? []
    if (!match || name === '.' || name === '..') return []
    return [{ path: `/${name}`, facts: { mode, owner: `${uid}:${gid}` }, size: Number(size) }]
  })
}
