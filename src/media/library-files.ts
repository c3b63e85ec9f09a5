/**
 * The files of a library's ext4, by debugfs(8): the top folder alone, since a library has no other.
 */

import { type FileHandle, mkdir, open, stat, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { KeyvisorError } from '../base/errors.js'
import { ifThere } from '../base/file-errors.js'
import type { ToolRunner } from '../base/tool.js'
import type { Bytes } from '../base/units.js'
import { fileReader } from '../disk/file-reader.js'
import type { ComparedFile } from './compare.js'

/** Seconds that debugfs gets: a hostile file system must not hold us. */
const TIMEOUT = 300

/** More files than this are no library. */
const MOST_FILES = 1000

/** What we give to debugfs as a name; it has words of its own for blanks and quotes. */
const PLAIN_NAME = /^[\w.-]+$/

/**
 * Every file of the ext4 at `offset` of `image`, copied to `folder`, which is new; they are read until `close`. debugfs
 * gets names of ours alone: a `?` in a path begins its options, and what it splits words at is no matter then. Throws
 * KeyvisorError `tool-missing`, `tool-failed`, `tool-timeout` and `library-damaged`.
 */
export async function libraryFiles(
  image: string,
  offset: Bytes,
  folder: string,
  tools: ToolRunner,
): Promise<{ files: ComparedFile[]; close: () => Promise<void> }> {
  await symlink(image, join(folder, 'image'))
  await mkdir(join(folder, 'files'))
  const debugfs = async (command: string) => {
    const args = ['-R', command, `image?offset=${offset}`]
    const binds = [{ path: image }, { path: folder, write: true }]
    return tools.run({ tool: 'debugfs', args, binds, cwd: folder, timeout: TIMEOUT })
  }
  const opened: FileHandle[] = []
  const close = async () => {
    for (const file of opened) await file.close()
  }
  try {
    const files = parseListing((await debugfs('ls -p /')).stdout).slice(0, MOST_FILES)
    for (const item of files.filter(({ facts, path }) => isPlain(facts, path))) {
      const { stderr } = await debugfs(`dump ${item.path} files${item.path}`)
      const copy = join(folder, 'files', item.path)
      // debugfs ends with 0 whatever became of the copy.
      if ((await ifThere(stat(copy)))?.size !== item.size) throw notCopied(item.path, stderr)
      const file = await open(copy, 'r')
      opened.push(file)
      item.read = fileReader(file)
    }
    return { files, close }
  } catch (error) {
    await close()
    throw error
  }
}

function notCopied(path: string, words: string): KeyvisorError {
  const why = words.trimEnd().split('\n').at(-1)
  return new KeyvisorError('library-damaged', `${path} cannot be read whole: ${why}`)
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
