/**
 * Whether a file system has room, asked before the first byte is written.
 */
import { statfs } from 'node:fs/promises'
import { KeyvisorError } from '../base/errors.js'
import { type Bytes, formatBytes } from '../base/units.js'

/** Throws `no-space` where a folder's file system has less. */
export async function checkFree(folder: string, need: Bytes, what: string, hint: string): Promise<void> {
  const { bavail, bsize } = await statfs(folder)
  const free = bavail * bsize
  if (free >= need) return
  const message = `${what} (${folder}) has ${formatBytes(free)} free, and the build needs up to ${formatBytes(need)}`
  throw new KeyvisorError('no-space', message, { hint })
}
