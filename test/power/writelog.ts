/**
 * The write log of a disk: every write, flush and discard in the order in which the disk took them.
 *
 * Spec: Linux, Documentation/admin-guide/device-mapper/log-writes.rst and drivers/md/dm-log-writes.c; QEMU's
 * `blklogwrites` driver writes the same (block/blklogwrites.c). All numbers are little-endian. A superblock fills the
 * first sector; each entry fills one, and the written bytes follow it in whole sectors. A discard has none; a mark has its
 * text in its entry's own sector. QEMU logs written zeros as zeros, and a flush as an entry of no sectors.
 *
 * Read entry by entry, since a log may be larger than memory. Left out: what a log means for a disk that loses power
 * (`crash.ts`); the writing of logs, but for single structures, which tests put together.
 */
import { KeyvisorError } from '../../src/base/errors.js'
import { type Bytes, SECTOR } from '../../src/base/units.js'
import { flags64, struct, u32, u64 } from '../../src/disk/bytes.js'
import type { ReadAt } from '../../src/disk/gpt.js'

const SUPERBLOCK = struct('the superblock of a write log', {
  magic: flags64, // magic
  version: u64, // version
  entries: u64, // nr_entries
  sectorBytes: u32, // sectorsize
})

const ENTRY = struct('an entry of a write log', {
  sector: u64, // sector
  sectors: u64, // nr_sectors
  flags: flags64, // flags
  textBytes: u64, // data_len
})

const MAGIC = 0x6a736677736872n
const VERSION = 1

/** LOG_FLUSH_FLAG and those behind it. METADATA says of a write that a file system meant it for its own use. */
const FLAG = { flush: 1n, fua: 2n, discard: 4n, mark: 8n, metadata: 16n }
const KNOWN_FLAGS = 31n

/** Larger than any disk's; QEMU's own limit is 16 MiB. */
const MOST_SECTOR_BYTES = 64 * 1024

export interface LogEntry {
  /** From 0. */
  index: number
  /** What was written before is on the disk from here on, and only then what this entry itself writes. */
  flush: boolean
  /** Forced unit access: what it writes is on the disk when it is done. */
  fua: boolean
  discard: boolean
  /** Text of a mark; null for anything else. */
  mark: string | null
  /** Where on the disk, in bytes from its start. */
  at: Bytes
  /** How much is written, or discarded. */
  bytes: Bytes
  /** Where in the log the written bytes stand. */
  from: Bytes
  /** Length of the log as soon as it has this entry as a whole. */
  end: Bytes
}

export interface LogSuperblock {
  /** Entries that the log had when its superblock was written last: at the last flush, or later. */
  entries: number
  sectorBytes: Bytes
}

/** As the first sector of a log. */
export function encodeLogSuperblock({ entries, sectorBytes }: LogSuperblock): Buffer {
  return filled(SUPERBLOCK.encode({ magic: MAGIC, version: VERSION, entries, sectorBytes }), sectorBytes)
}

/** An entry's own sector. `mark` is at most what fits behind the entry. */
export function encodeLogEntry(
  { at, bytes, mark, ...flags }: Omit<LogEntry, 'index' | 'from' | 'end'>,
  sectorBytes: Bytes = SECTOR,
): Buffer {
  const set = (['flush', 'fua', 'discard'] as const).map((name) => (flags[name] ? FLAG[name] : 0n))
  const text = Buffer.from(mark ?? '')
  const entry = ENTRY.encode({
    sector: at / sectorBytes,
    sectors: bytes / sectorBytes,
    flags: set.reduce((all, flag) => all | flag, mark === null ? 0n : FLAG.mark),
    textBytes: text.length,
  })
  return filled(Buffer.concat([entry, text]), sectorBytes)
}

function filled(bytes: Buffer, sectorBytes: Bytes): Buffer {
  if (bytes.length > sectorBytes) throw new Error(`BUG: ${bytes.length} bytes for a sector of a write log`)
  return Buffer.concat([bytes, Buffer.alloc(sectorBytes - bytes.length)])
}

/** Decodes and checks the superblock. Throws KeyvisorError `not-a-write-log`. */
function decodeLogSuperblock(sector: Uint8Array): LogSuperblock {
  if (sector.length < SUPERBLOCK.bytes) throw foreign('it is too short')
  const { magic, version, entries, sectorBytes } = SUPERBLOCK.decode(sector)
  if (magic !== MAGIC) throw foreign('it does not begin as one')
  if (version !== VERSION) throw foreign(`its version is ${version}`)
  const power = Number.isInteger(Math.log2(sectorBytes))
  if (!power || sectorBytes < SECTOR || sectorBytes > MOST_SECTOR_BYTES)
    throw foreign(`its sectors have ${sectorBytes} bytes`)
  return { entries, sectorBytes }
}

function foreign(why: string): KeyvisorError {
  return new KeyvisorError('not-a-write-log', `the file is not a write log: ${why}`)
}

/**
 * The entries of a log of `size` bytes, in order, without what they wrote. Entries that the superblock does not count
 * are left out: the log's writer may have been ended in the middle of one.
 *
 * Throws KeyvisorError `not-a-write-log`, or `write-log-damaged` at the first entry that cannot be believed.
 */
export async function* readWriteLog(read: ReadAt, size: Bytes): AsyncGenerator<LogEntry> {
  const { entries, sectorBytes } = decodeLogSuperblock(await read(0, SECTOR))
  let at = sectorBytes
  for (let index = 0; index < entries; index++) {
    const entry = decodeEntry(await read(at, sectorBytes), index, at, sectorBytes)
    if (entry.end > size) throw damaged(index, `it needs ${entry.end} bytes of a log of ${size}`)
    at = entry.end
    yield entry
  }
}

function decodeEntry(sector: Buffer, index: number, start: Bytes, sectorBytes: Bytes): LogEntry {
  if (sector.length < sectorBytes) throw damaged(index, 'the log ends before it')
  const { sector: first, sectors, flags, textBytes } = ENTRY.decode(sector)
  if (flags & ~KNOWN_FLAGS) throw damaged(index, `its flags are 0x${flags.toString(16)}`)
  const has = (flag: bigint) => (flags & flag) !== 0n
  const [at, bytes, from] = [first * sectorBytes, sectors * sectorBytes, start + sectorBytes]
  const end = has(FLAG.discard) ? from : from + bytes
  if (!Number.isSafeInteger(at + bytes) || !Number.isSafeInteger(end))
    throw damaged(index, `it writes ${sectors} sectors from ${first}`)
  if (textBytes > sectorBytes - ENTRY.bytes) throw damaged(index, `its text has ${textBytes} bytes`)
  const text = sector.toString('latin1', ENTRY.bytes, ENTRY.bytes + textBytes)
  return {
    index,
    flush: has(FLAG.flush),
    fua: has(FLAG.fua),
    discard: has(FLAG.discard),
    mark: has(FLAG.mark) ? text : null,
    at,
    bytes,
    from,
    end,
  }
}

function damaged(index: number, why: string): KeyvisorError {
  return new KeyvisorError('write-log-damaged', `entry ${index} of the write log is damaged: ${why}`)
}
