/**
 * One reading of a file that feeds several readers: each pace is the slowest reader's, and memory stays flat.
 */
import { createHash } from 'node:crypto'
import { open } from 'node:fs/promises'
import type { Sha256 } from '../base/digests.js'
import { whenAborted } from '../base/parallel.js'
import { type Bytes, MiB } from '../base/units.js'

export interface Reader {
  /** Takes the next bytes, which are its own to keep; the next ones come when it is done with them. */
  take(chunk: Buffer): void | Promise<void>
  /** There is nothing more. */
  end(): void
}

/** Read at once. */
const CHUNK: Bytes = MiB

/**
 * Reads a file to its end. `signal` ends it, whatever the readers wait for. Rejects with what a reader throws, with the
 * signal's reason, and with the errors of `fs.open`.
 */
export async function readOnce(
  path: string,
  readers: readonly Reader[],
  onBytes: (bytes: Bytes) => void,
  signal: AbortSignal,
): Promise<void> {
  signal.throwIfAborted()
  const aborted = whenAborted(signal)
  const file = await open(path)
  const chunkAt = async (at: Bytes) => {
    const { buffer, bytesRead } = await file.read(Buffer.allocUnsafe(CHUNK), 0, CHUNK, at)
    return buffer.subarray(0, bytesRead)
  }
  try {
    for (let at = 0; ; ) {
      const chunk = await chunkAt(at)
      if (chunk.length === 0) break
      await Promise.race([Promise.all(readers.map((reader) => reader.take(chunk))), aborted])
      at += chunk.length
      onBytes(chunk.length)
    }
  } finally {
    await file.close()
  }
  for (const reader of readers) reader.end()
}

/** A reader that takes the digest of everything. */
export function digesting(): Reader & { sha256: () => Sha256 } {
  const hash = createHash('sha256')
  return { take: (chunk) => void hash.update(chunk), end: () => {}, sha256: () => hash.digest('hex') }
}
