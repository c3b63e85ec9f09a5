/**
 * Reading a file from its beginning to its end, while the last piece is worked on.
 */
import type { FileHandle } from 'node:fs/promises'
import { type Bytes, MiB } from '../base/units.js'

/** Of each piece but the last; a multiple of every block that is looked at. */
export const CHUNK: Bytes = 4 * MiB

/**
 * Pieces of {@link CHUNK} bytes, one behind the other. Each is the reader's until the next is asked for; in all there are two
 * buffers. Rejects as read(2) does.
 */
export async function* readAhead(file: FileHandle): AsyncGenerator<Buffer> {
  const buffers = [Buffer.allocUnsafe(CHUNK), Buffer.allocUnsafe(CHUNK)] as const
  let next = fill(file, buffers[0], 0)
  try {
    for (let index = 1; ; index++) {
      const chunk = await next
      if (chunk.length === 0) return
      next = fill(file, buffers[index % 2 === 0 ? 0 : 1], index * CHUNK)
      next.catch(() => {})
      yield chunk
    }
  } finally {
    // Whoever ends early may close the file.
    await next.catch(() => {})
  }
}

/** read(2) may give less than was asked for. */
async function fill(file: FileHandle, buffer: Buffer, at: Bytes): Promise<Buffer> {
  let filled = 0
  while (filled < buffer.length) {
    const { bytesRead } = await file.read(buffer, filled, buffer.length - filled, at + filled)
    if (bytesRead === 0) break
    filled += bytesRead
  }
  return buffer.subarray(0, filled)
}
