/**
 * Comparing bytes, and the files of two file systems.
 */
import type { Json } from '../base/digests.js'
import { jsonChanges } from '../base/json-changes.js'
import { type Bytes, MiB } from '../base/units.js'
import type { ReadAt } from '../disk/gpt.js'

/** One difference. `a` and `b` are what the first and the second have there; null where one has nothing. */
export interface Difference {
  /** `layout`, `boot code`, `manifest`, `packages of the host`, or the name of a partition. */
  part: string
  /** File, package or field in that part; empty for the part itself. */
  item: string
  /** What of the item: `bytes`, `mode`, `owner`, `time`; empty for the item as a whole. */
  field: string
  a: Json
  b: Json
  /** Offset of the first byte that differs, in the file or else in the part; null where bytes were not compared. */
  at: Bytes | null
}

/** A file, folder or link of a file system. */
export interface ComparedFile {
  path: string
  /** Kind, mode, owner, time, target of a link; what two must have in common to be the same, but for their bytes. */
  facts: Record<string, Json>
  size: Bytes
  /** Absent for what has no bytes. */
  read?: ReadAt
}

/** Differences of two JSON values, as those of a part. */
export function changesOf(part: string, before: Json, after: Json): Difference[] {
  return jsonChanges(before, after).map(
    ({ path, before: a = null, after: b = null }): Difference => ({
      part,
      item: path.join('.'),
      field: '',
      a,
      b,
      at: null,
    }),
  )
}

const CHUNK: Bytes = 4 * MiB

/** Times that are told one by one; more are counted. */
const SHOWN_TIMES = 3

interface Side {
  read: ReadAt
  size: Bytes
}

/** Offset of the first byte that differs; the shorter one's end where it is the other's beginning; null for none. */
export async function firstDifference(a: Side, b: Side): Promise<Bytes | null> {
  const common = Math.min(a.size, b.size)
  for (let at = 0; at < common; at += CHUNK) {
    const length = Math.min(CHUNK, common - at)
    const [one, other] = await Promise.all([a.read(at, length), b.read(at, length)])
    if (!one.equals(other)) return at + unequalAt(one, other)
    // A file that became shorter meanwhile.
    if (one.length < length) return at + one.length
  }
  return a.size === b.size ? null : common
}

function unequalAt(a: Buffer, b: Buffer): number {
  const length = Math.min(a.length, b.length)
  for (let at = 0; at < length; at++) if (a[at] !== b[at]) return at
  return length
}

/** Every difference between two lists of files; the order of the lists is of no account. */
export async function compareFiles(
  part: string,
  a: readonly ComparedFile[],
  b: readonly ComparedFile[],
): Promise<Difference[]> {
  const [first, second] = [byPath(a), byPath(b)]
  const found: Difference[] = []
  for (const path of [...new Set([...first.keys(), ...second.keys()])].sort()) {
    const [one, other] = [first.get(path), second.get(path)]
    if (one && other) found.push(...(await compareFile(part, one, other)))
    else found.push({ part, item: path, field: '', a: presence(one), b: presence(other), at: null })
  }
  return withoutManyTimes(part, found)
}

function byPath(files: readonly ComparedFile[]): Map<string, ComparedFile> {
  return new Map(files.map((file) => [file.path, file]))
}

function presence(file: ComparedFile | undefined): Json {
  return file ? { ...file.facts, size: file.size } : null
}

async function compareFile(part: string, a: ComparedFile, b: ComparedFile): Promise<Difference[]> {
  const item = a.path
  const facts = changesOf(part, a.facts, b.facts).map((change) => ({ ...change, item, field: change.item }))
  if (!a.read || !b.read) return facts
  const at = await firstDifference({ read: a.read, size: a.size }, { read: b.read, size: b.size })
  if (at === null) return facts
  return [{ part, item, field: 'bytes', a: a.size, b: b.size, at }, ...facts]
}

/** With another epoch every file has another time: that is one difference to a reader. */
function withoutManyTimes(part: string, found: Difference[]): Difference[] {
  const times = found.filter(({ field }) => field === 'time')
  if (times.length <= SHOWN_TIMES) return found
  const count = `of ${times.length} files`
  const one: Difference = { part, item: '', field: 'time', a: count, b: count, at: null }
  return [...found.filter(({ field }) => field !== 'time'), one]
}
