/**
 * Writing a small file. Node's own `writeFile` does not say which file it was that the disk had no room for, and leaves
 * half of it behind.
 *
 * Left out: files that others may read while they are written (`store/whole-file.ts`).
 */
import { rm, writeFile as writeNow } from 'node:fs/promises'
import { onFile } from './file-errors.js'

interface Options {
  mode?: number
  flag?: 'w' | 'wx'
}

/** Writes a file, all of it or nothing. Rejects with the errors of open(2) and write(2), which name its path. */
export async function writeFile(path: string, bytes: string | Uint8Array, options: Options = {}) {
  try {
    await onFile(path, () => writeNow(path, bytes, options))
  } catch (error) {
    // One that could not be opened is somebody else's, and as it was.
    if ((error as NodeJS.ErrnoException).syscall !== 'open') await rm(path, { force: true }).catch(() => {}) // Why it came to this says more.
    throw error
  }
}
