/**
 * Replay: the disk as a loss of power would have left it, in a sparse raw file, from its start state and its write log.
 *
 * Goes forward only, from one point to the next; what lies after the last flush is taken back when a point has been looked
 * at. Left out: which states there are (`crash.ts`), and what they are worth (`examine.ts`).
 */
import { type FileHandle, open } from 'node:fs/promises'
import { type Bytes, type Lba, MiB, SECTOR } from '../../src/base/units.js'
import type { ReadAt } from '../../src/disk/gpt.js'
import { writeAt } from '../../src/disk/sparse.js'
import type { CrashPoint } from './crash.js'
import type { LogEntry } from './writelog.js'

/** Written, compared and copied at once. Behind the image a chunk that was never written is a hole. */
const CHUNK: Bytes = MiB

const ZEROS = Buffer.alloc(CHUNK)

/** Bytes that stood somewhere. */
interface Piece {
  at: Bytes
  bytes: Buffer
}

export class Replay {
  readonly path: string
  readonly size: Bytes
  readonly #disk: FileHandle
  readonly #log: FileHandle
  readonly #entries: readonly LogEntry[]
  /** Numbers of the chunks that are no holes. */
  readonly #filled = new Set<number>()
  #done = 0

  private constructor(
    path: string,
    size: Bytes,
    disk: FileHandle,
    log: FileHandle,
    entries: readonly LogEntry[],
  ) {
    this.path = path
    this.size = size
    this.#disk = disk
    this.#log = log
    this.#entries = entries
  }

  /** Takes over `path`: the start state, which is grown to the stick's `size` with a hole. */
  static async open(path: string, size: Bytes, log: string, entries: readonly LogEntry[]): Promise<Replay> {
    const disk = await open(path, 'r+')
    const replay = new Replay(path, size, disk, await open(log, 'r'), entries)
    const start = (await disk.stat()).size
    await disk.truncate(size)
    for (let chunk = 0; chunk * CHUNK < start; chunk++) replay.#filled.add(chunk)
    return replay
  }

  async close(): Promise<void> {
    await this.#disk.close()
    await this.#log.close()
  }

  readonly read: ReadAt = async (offset, length) => {
    const { buffer, bytesRead } = await this.#disk.read(Buffer.alloc(length), 0, length, offset)
    return buffer.subarray(0, bytesRead)
  }

  /** Makes the file what the point left, for as long as `look` looks at it. Points come in the order of their durable part. */
  async at<T>(point: CrashPoint, look: () => Promise<T>): Promise<T> {
    if (point.durable < this.#done) throw new Error(`BUG: replay cannot go back to entry ${point.durable}`)
    for (; this.#done < point.durable; this.#done++) {
      const entry = this.#entries[this.#done] as LogEntry
      await this.#apply(entry, entry.bytes)
    }
    const before: Piece[] = []
    try {
      for (const { entry, bytes } of point.changes) await this.#apply(entry, bytes, before)
      return await look()
    } finally {
      for (const { at, bytes } of before.reverse()) await this.#write(at, bytes)
    }
  }

  /** The first `bytes` of what an entry wrote; what stood there goes to `before`. */
  async #apply(entry: LogEntry, bytes: Bytes, before?: Piece[]): Promise<void> {
    for (let done = 0; done < bytes; ) {
      const at = entry.at + done
      const length = Math.min(bytes - done, CHUNK - (at % CHUNK))
      // What is discarded may read as anything; zeros is what QEMU's disks give.
      const written = entry.discard
        ? ZEROS.subarray(0, length)
        : (await this.#log.read(Buffer.alloc(length), 0, length, entry.from + done)).buffer
      if (before && !this.#stays(at, written)) before.push({ at, bytes: await this.read(at, length) })
      await this.#write(at, written)
      done += length
    }
  }

  /** Whether the place is a hole and these are zeros: then there is nothing to write. */
  #stays(at: Bytes, bytes: Uint8Array): boolean {
    return !this.#filled.has(Math.floor(at / CHUNK)) && ZEROS.subarray(0, bytes.length).equals(bytes)
  }

  async #write(at: Bytes, bytes: Uint8Array): Promise<void> {
    if (this.#stays(at, bytes)) return
    this.#filled.add(Math.floor(at / CHUNK))
    await writeAt(this.#disk, bytes, at)
  }

  /** Copies sectors to a file of their own, holes left out. `last` is inclusive. */
  async extract(first: Lba, last: Lba, path: string): Promise<void> {
    const [start, end] = [first * SECTOR, (last + 1) * SECTOR]
    const target = await open(path, 'w')
    try {
      await target.truncate(end - start)
      for (const chunk of this.#filled) {
        const from = Math.max(chunk * CHUNK, start)
        const until = Math.min((chunk + 1) * CHUNK, end)
        if (from < until) await writeAt(target, await this.read(from, until - from), from - start)
      }
    } finally {
      await target.close()
    }
  }
}
