/**
 * Sparse writing: payloads go to their place in a larger file, and what is zero stays a hole.
 */
import { type FileHandle, open } from 'node:fs/promises'
import { onFile } from '../base/file-errors.js'
import { type Bytes, KiB, MiB } from '../base/units.js'

/** Read at once. */
const CHUNK: Bytes = 4 * MiB
/** The least run of zeros that is left out: larger than a file system's block, so that extents stay few. */
const HOLE: Bytes = 64 * KiB

const ZEROS = Buffer.alloc(HOLE)

/** Writes a whole buffer at an offset. */
export async function writeAt(file: FileHandle, bytes: Uint8Array, at: Bytes): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesWritten } = await file.write(bytes, done, bytes.length - done, at + done)
    done += bytesWritten
  }
}

/**
 * Copies a file into `target` at an offset; the place must be a hole or zeros already. `onBytes` is told how much of
 * the source was passed, holes included.
 */
export async function copySparse(
  source: string,
  target: FileHandle,
  at: Bytes,
  onBytes: (bytes: Bytes) => void = () => {},
): Promise<void> {
  const from = await open(source, 'r')
  const buffer = Buffer.allocUnsafe(CHUNK)
  try {
    for (let offset = 0; ; ) {
      const { bytesRead } = await onFile(source, () => from.read(buffer, 0, CHUNK, offset))
      if (bytesRead === 0) return
      for (const [start, end] of filledRuns(buffer.subarray(0, bytesRead))) {
        await writeAt(target, buffer.subarray(start, end), at + offset + start)
      }
      offset += bytesRead
      onBytes(bytesRead)
    }
  } finally {
    await from.close()
  }
}

/** The runs of a buffer that are not zero, in steps of {@link HOLE}. */
function filledRuns(bytes: Buffer): [number, number][] {
  const runs: [number, number][] = []
  for (let start = 0; start < bytes.length; start += HOLE) {
    const end = Math.min(start + HOLE, bytes.length)
    if (bytes.subarray(start, end).equals(ZEROS.subarray(0, end - start))) continue
    const last = runs.at(-1)
    if (last && last[1] === start) last[1] = end
    else runs.push([start, end])
  }
  return runs
}
