/**
 * What a loss of power leaves of a disk's writes: pure.
 *
 * The model: what was written before the last completed flush is there, and so is every completed write with FUA. Of the
 * other writes any may be there and any may not, whatever their order, and one of them in part: its first sectors. That
 * is what a disk with a write cache may do (SATA and SCSI promise no more; ext4 and qcow2 count on no more). The log's order
 * is that of the stick's work, since a USB disk (usb-storage, bulk-only transport) has one command at a time: no write
 * is under way while it flushes.
 *
 * Left out: sectors that lose what they had before (a stick whose own tables are torn), and flushes that a stick ignores.
 */
import { type Bytes, SECTOR } from '../../src/base/units.js'
import type { LogEntry } from './writelog.js'

/** A whole number below `limit`, of a seeded generator: a point can be made again. */
export type Random = (limit: number) => number

/** An entry's first bytes that got to the disk. */
interface Change {
  entry: LogEntry
  bytes: Bytes
}

export interface CrashPoint {
  /** So many entries the stick had completed when it lost power. */
  completed: number
  /** So many are there for sure, and as a whole. */
  durable: number
  /** What is there of those between, in their order. */
  changes: Change[]
}

/** Sectors with MBR, header and entries of the primary table (disk/gpt.ts). */
const TABLE: Bytes = 34 * SECTOR

/** Torn states of each stretch that changes the partition table: a handful of writes on which all depends. */
const TABLE_TRIES = 12

/** A stretch between two flushes: entries from `first` to `end`, exclusive, in which something was written. */
interface Stretch {
  first: number
  end: number
}

/** The point right after the last flush among the first `completed` entries: nothing after it got to the disk. */
export function cleanPoint(entries: readonly LogEntry[], completed: number): CrashPoint {
  return { completed, durable: durableAt(entries, completed), changes: [] }
}

/** One of the states that a loss of power after `completed` entries may leave. */
export function tornPoint(entries: readonly LogEntry[], completed: number, random: Random): CrashPoint {
  const durable = durableAt(entries, completed)
  const pending = entries.slice(durable, completed).filter(({ bytes }) => bytes > 0)
  // Now and then most of them, now and then few.
  const share = random(5)
  const there = pending.filter(({ fua }) => fua || random(4) < share)
  const changes = there.map((entry) => ({ entry, bytes: entry.bytes }))
  const cut = changes[random(changes.length)]
  if (cut && !cut.entry.fua) cut.bytes = random(cut.bytes / SECTOR + 1) * SECTOR
  return { completed, durable, changes }
}

/** How many of the first `completed` entries the last flush among them made sure of. What that entry itself wrote is not. */
function durableAt(entries: readonly LogEntry[], completed: number): number {
  for (let index = completed - 1; index >= 0; index--) if (entries[index]?.flush) return index
  return 0
}

/**
 * About `count` points that lie between the entries `from` and `to`, spread over the stretches between flushes: half of
 * them right after a flush, half torn; and some more for each stretch that changes the partition table. In the log's order.
 */
export function choosePoints(
  entries: readonly LogEntry[],
  from: number,
  to: number,
  count: number,
  random: Random,
): CrashPoint[] {
  const stretches = stretchesOf(entries, from, to)
  const clean = spread(stretches, Math.ceil(count / 2), random).map(({ end }) => cleanPoint(entries, end))
  const torn = (stretch: Stretch) => {
    // Before its flush: that one completes what was pending.
    const completed = stretch.first + 1 + random(stretch.end - stretch.first - 1)
    return tornPoint(entries, completed, random)
  }
  const several = repeated(spread(stretches, count - clean.length, random), count - clean.length)
  const tables = stretches.filter((stretch) => changesTable(entries, stretch))
  return [...clean, ...[...several, ...repeated(tables, tables.length * TABLE_TRIES)].map(torn)].sort(
    (a, b) => a.durable - b.durable || a.completed - b.completed,
  )
}

function stretchesOf(entries: readonly LogEntry[], from: number, to: number): Stretch[] {
  const stretches: Stretch[] = []
  let first = from
  for (let index = from; index < to; index++) {
    if (!entries[index]?.flush) continue
    if (entries.slice(first, index).some(({ bytes }) => bytes > 0)) stretches.push({ first, end: index + 1 })
    first = index + 1
  }
  return stretches
}

function changesTable(entries: readonly LogEntry[], { first, end }: Stretch): boolean {
  return entries.slice(first, end).some(({ at, bytes }) => bytes > 0 && at < TABLE)
}

/** At most `count`, one at random out of each of `count` equal parts. */
function spread(stretches: readonly Stretch[], count: number, random: Random): Stretch[] {
  if (stretches.length <= count) return [...stretches]
  const edge = (part: number) => Math.floor((part * stretches.length) / count)
  return Array.from({ length: count }, (_, part) => {
    const at = edge(part) + random(edge(part + 1) - edge(part))
    return stretches[at] as Stretch
  })
}

/** The stretches over and over, until there are `count`. */
function repeated(stretches: readonly Stretch[], count: number): Stretch[] {
  if (stretches.length === 0) return []
  return Array.from({ length: count }, (_, index) => stretches[index % stretches.length] as Stretch)
}
