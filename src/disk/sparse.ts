/**
 * Sparse writing: payloads go to their place in a larger file, and what is zero stays a hole.
 */
import { type FileHandle, open } from 'node:fs/promises'
import { onFile } from '../base/file-errors.js'
import { type Bytes, KiB } from '../base/units.js'
import { CHUNK, readAhead } from './read-ahead.js'

/** The least run of zeros that is left out: larger than a file system's block, so that extents stay few. */
export const HOLE: Bytes = 64 * KiB

const ZEROS = Buffer.alloc(CHUNK)

/** Of at most {@link CHUNK} bytes. */
export function isZeros(bytes: Buffer): boolean {
  return bytes.equals(ZEROS.subarray(0, bytes.length))
}

/** Writes a whole buffer at an offset. */
export async function writeAt(file: FileHandle, bytes: Uint8Array, at: Bytes): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesWritten } = await file.write(bytes, done, bytes.length - done, at + done)
    done += bytesWritten
  }
}

/**
 * Copies an open file into `target` at an offset; the place must be a hole or zeros already. `onBytes` gets each piece of the
 * source as it is passed, holes included.
 */
export async function copySparse(
  source: FileHandle,
  target: FileHandle,
  at: Bytes,
  onBytes: (bytes: Buffer) => void = () => {},
): Promise<void> {
  let offset = at
  for await (const chunk of readAhead(source)) {
    const writing = writeRuns(target, chunk, offset)
    // While the disk works, whoever digests the bytes can.
    writing.catch(() => {})
    try {
      onBytes(chunk)
    } finally {
      await writing
    }
    offset += chunk.length
  }
}

/** The same of a file by its path. */
export async function copyFileSparse(
  source: string,
  target: FileHandle,
  at: Bytes,
  onBytes: (bytes: Buffer) => void = () => {},
): Promise<void> {
  const file = await open(source, 'r')
  try {
    await onFile(source, () => copySparse(file, target, at, onBytes))
  } finally {
    await file.close()
  }
}

async function writeRuns(target: FileHandle, chunk: Buffer, at: Bytes): Promise<void> {
  for (const [start, end] of filledRuns(chunk)) await writeAt(target, chunk.subarray(start, end), at + start)
}

/** The runs of a buffer that are not zero, in steps of {@link HOLE}. */
export function filledRuns(bytes: Buffer): [number, number][] {
  const runs: [number, number][] = []
  for (let start = 0; start < bytes.length; start += HOLE) {
    const end = Math.min(start + HOLE, bytes.length)
    if (isZeros(bytes.subarray(start, end))) continue
    const last = runs.at(-1)
    if (last && last[1] === start) last[1] = end
    else runs.push([start, end])
  }
  return runs
}
