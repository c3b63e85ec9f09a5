/**
 * The files of a squashfs, by unsquashfs(1) `-pf`: one text that lists everything, with all bytes behind it. Nothing is
 * unpacked under a name that the image chose.
 *
 * Spec: squashfs-tools, "pseudo file definitions" (mksquashfs(1)).
 */

import { type FileHandle, open } from 'node:fs/promises'
import { dirname } from 'node:path'
import { KeyvisorError } from '../base/errors.js'
import { lookUp } from '../base/lookup.js'
import type { ToolRunner } from '../base/tool.js'
import { type Bytes, GiB, MiB } from '../base/units.js'
import type { ComparedFile } from './compare.js'

/** What a hostile file system may make of itself: bytes, seconds, memory, and bytes of the list. */
const LIMITS = { bytes: 16 * GiB, seconds: 600, memory: 4 * GiB, list: 64 * MiB }

const DATA_MARK = '\n#\n# START OF DATA - DO NOT MODIFY\n#\n'

/**
 * Every file of the squashfs at `offset` of `image`; `target` is a new file for their bytes, which are read from there
 * until `close`. Throws KeyvisorError `tool-missing`, `tool-failed`, `tool-timeout` and `squashfs-damaged`.
 */
export async function squashfsFiles(
  image: string,
  offset: Bytes,
  target: string,
  tools: ToolRunner,
): Promise<{ files: ComparedFile[]; close: () => Promise<void> }> {
  await tools.run({
    tool: 'prlimit',
    args: [
      `--fsize=${LIMITS.bytes}`,
      `--as=${LIMITS.memory}`,
      'unsquashfs',
      '-quiet',
      '-no-progress',
      '-o',
      String(offset),
      '-pf',
      target,
      image,
    ],
    binds: [{ path: image }, { path: dirname(target), write: true }],
    timeout: LIMITS.seconds,
  })
  const file = await open(target, 'r')
  try {
    const { list, start } = await readList(file)
    return { files: parseList(list, start, file), close: () => file.close() }
  } catch (error) {
    await file.close()
    throw error
  }
}

async function readList(file: FileHandle): Promise<{ list: string; start: Bytes }> {
  const { size } = await file.stat()
  const buffer = Buffer.alloc(Math.min(size, LIMITS.list))
  let length = 0
  for (let read = 1; read > 0 && length < buffer.length; length += read) {
    read = (await file.read(buffer, length, buffer.length - length, length)).bytesRead
  }
  const end = buffer.indexOf(DATA_MARK)
  if (end >= 0) return { list: buffer.toString('utf8', 0, end), start: end + DATA_MARK.length }
  // Without a single file of some bytes there is no such mark.
  if (size < LIMITS.list) return { list: buffer.toString('utf8'), start: size }
  throw new KeyvisorError('squashfs-damaged', 'the squashfs has a list of files that is too long')
}

/** `NAME KIND TIME MODE UID GID ...`; blanks in names have a backslash before them. */
const LINE = /^((?:\\.|[^\\ ])*) ([A-Za-z]) (.*)$/

function parseList(list: string, start: Bytes, file: FileHandle): ComparedFile[] {
  const files = new Map<string, ComparedFile>()
  for (const line of list.split('\n')) {
    const [, name = '', kind = '', rest = ''] = LINE.exec(line) ?? []
    if (kind === '') continue
    const path = `/${name.replace(/\\(.)/g, '$1').replace(/^\//, '')}`
    if (kind === 'x') addAttribute(files.get(path), rest)
    else files.set(path, entryOf(path, kind, rest, start, file))
  }
  return [...files.values()]
}

const KINDS: Record<string, string> = { D: 'folder', R: 'file', S: 'link', B: 'block device', C: 'device' }

function entryOf(path: string, kind: string, rest: string, start: Bytes, file: FileHandle): ComparedFile {
  // A second name of a file, which is in the list already.
  if (kind === 'L') return { path, facts: { kind: 'hard link', target: rest }, size: 0 }
  const [time = '', mode = '', uid = '', gid = '', ...more] = rest.split(' ')
  const facts = { kind: lookUp(KINDS, kind) ?? kind, mode, owner: `${uid}:${gid}`, time: Number(time) || 0 }
  if (kind !== 'R') return { path, facts: { ...facts, target: more.join(' ') }, size: 0 }
  const [size, offset] = [Number(more[0]) || 0, Number(more[1]) || 0]
  return {
    path,
    facts,
    size,
    read: async (at, length) => {
      const buffer = Buffer.alloc(Math.max(0, Math.min(length, size - at)))
      const { bytesRead } = await file.read(buffer, 0, buffer.length, start + offset + at)
      return buffer.subarray(0, bytesRead)
    },
  }
}

/** An extended attribute, such as a file's capabilities. */
function addAttribute(file: ComparedFile | undefined, text: string): void {
  const [name = '', ...value] = text.split('=')
  if (file) file.facts[name] = value.join('=')
}
