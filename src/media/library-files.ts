/**
 * The files of a library, read where they lie: a library has one folder, and each file is one run of bytes.
 */
import { type FoundFile, readErofs } from '../disk/erofs.js'
import type { ReadAt } from '../disk/gpt.js'
import type { ComparedFile } from './compare.js'

/** Throws KeyvisorError `library-damaged`. */
export async function libraryFiles(read: ReadAt): Promise<ComparedFile[]> {
  return (await readErofs(read)).map((file) => comparedFile(file, read))
}

function comparedFile({ name, size, offset, mode, owner, group }: FoundFile, read: ReadAt): ComparedFile {
  return {
    path: `/${name}`,
    facts: { mode: mode.toString(8), owner: `${owner}:${group}` },
    size,
    read: (at, length) => read(offset + at, Math.max(0, Math.min(length, size - at))),
  }
}
