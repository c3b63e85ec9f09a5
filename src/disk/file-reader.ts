/**
 * Reads of an open file, as decoders want them.
 */
import type { FileHandle } from 'node:fs/promises'
import type { ReadAt } from './gpt.js'

/** Fewer bytes at the file's end. Rejects as read(2) does. */
export function fileReader(file: FileHandle): ReadAt {
  return async (offset, length) => {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, offset)
    return buffer.subarray(0, bytesRead)
  }
}
