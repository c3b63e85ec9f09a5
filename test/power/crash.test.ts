import fc from 'fast-check'
import t from 'tap'
import { MiB } from '../../src/base/units.js'
import { below, holds } from '../support/property.js'
import { seeded } from '../support/tools.js'
import { choosePoints, cleanPoint, tornPoint } from './crash.js'
import type { LogEntry } from './writelog.js'

type Made = Partial<Pick<LogEntry, 'at' | 'bytes' | 'flush' | 'fua' | 'discard'>>

function log(...made: Made[]): LogEntry[] {
  let end = 512
  return made.map((entry, index) => {
    const whole = { flush: false, fua: false, discard: false, mark: null, at: 0, bytes: 0, ...entry }
    const from = end + 512
    end = from + (whole.discard ? 0 : whole.bytes)
    return { ...whole, index, from, end }
  })
}

const write = (sector: number, sectors = 1): Made => ({ at: MiB + sector * 512, bytes: sectors * 512 })
const flush: Made = { flush: true }

/** Writes of up to nine sectors to a disk of 64, with a flush after every fifth or so, and some FUA. */
const logs = fc
  .array(
    fc.oneof(fc.constant(flush), {
      weight: 4,
      arbitrary: fc.tuple(below(56), below(9), below(6), below(9)).map(asWrite),
    }),
    { minLength: 2, maxLength: 41 },
  )
  .map((made) => log(...made))

function asWrite([sector, more, fua, discard]: [number, number, number, number]): Made {
  return { ...write(sector, 1 + more), fua: fua === 5, discard: discard === 8 }
}

/** The disk as numbers: for each sector, which entry wrote it last. */
function disk(): (number | undefined)[] {
  return Array(64).fill(undefined)
}

function apply(sectors: (number | undefined)[], entry: LogEntry, bytes = entry.bytes): void {
  const first = (entry.at - MiB) / 512
  for (let sector = 0; sector < bytes / 512; sector++) sectors[first + sector] = entry.index
}

t.test('what a torn state has: all that was flushed, and nothing that was never written', async (t) => {
  const seen = { cut: 0, left: 0, reordered: 0 }
  const isPossible = (entries: LogEntry[], part: number, seed: number) => {
    const completed = Math.floor(part * (entries.length + 1))
    const point = tornPoint(entries, completed, seeded(seed))
    const state = disk()
    for (const entry of entries.slice(0, point.durable)) apply(state, entry)
    for (const { entry, bytes } of point.changes) apply(state, entry, bytes)
    const lastFlush = entries.findLastIndex(({ flush, index }) => flush && index < completed)
    for (const [sector, writer] of state.entries()) {
      const before = entries.slice(0, completed).filter(({ at, bytes }) => {
        const first = (at - MiB) / 512
        return sector >= first && sector < first + bytes / 512
      })
      // The newest that is sure to be there, and all that may have come over it.
      const sure = before.findLast(({ index, fua }) => index < lastFlush || fua)
      const allowed = before.filter(({ index }) => index >= (sure?.index ?? 0)).map(({ index }) => index)
      if (sure ? !allowed.includes(writer ?? -1) : writer !== undefined && !allowed.includes(writer))
        throw new Error(`sector ${sector} has entry ${writer}, and may have ${allowed}`)
    }
    const pending = entries.slice(point.durable, completed).filter(({ bytes }) => bytes > 0)
    const kept = point.changes.map(({ entry }) => entry.index)
    if (point.changes.some(({ entry, bytes }) => bytes < entry.bytes)) seen.cut++
    if (kept.length < pending.length) seen.left++
    if (kept.length > 0 && kept[0] !== pending[0]?.index) seen.reordered++
    if (point.changes.some(({ bytes }) => bytes % 512 !== 0)) throw new Error('a sector is cut')
  }
  // Of doubles most would be close to nothing.
  const part = below(1000).map((thousandth) => thousandth / 1000)
  await holds(t, 3000, fc.property(logs, part, fc.nat(), isPossible))
  for (const [kind, count] of Object.entries(seen)) t.ok(count > 100, `${kind}: ${count} of 3000`)
})

t.test('a clean point has what was flushed, and no more', async (t) => {
  const entries = log(write(0), write(1), flush, write(2), flush, write(3))
  t.match(cleanPoint(entries, 3), { completed: 3, durable: 2, changes: [] })
  t.match(cleanPoint(entries, 6), { completed: 6, durable: 4, changes: [] })
  t.match(cleanPoint(entries, 2), { completed: 2, durable: 0, changes: [] })
})

t.test('points are spread over the stretches, half of them torn, and in order', async (t) => {
  const entries = log(...Array.from({ length: 100 }, () => [write(1), write(2), write(3), flush]).flat())
  const points = choosePoints(entries, 0, entries.length, 60, seeded(1))
  t.equal(points.length, 60)
  t.equal(points.filter(({ completed }) => entries[completed - 1]?.flush).length, 30, 'right after a flush')
  t.strictSame(
    points.map(({ durable }) => durable),
    points.map(({ durable }) => durable).sort((a, b) => a - b),
  )
  const tenths = new Set(points.map(({ completed }) => Math.floor((completed - 1) / 40)))
  t.equal(tenths.size, 10, 'each tenth of the log has some')
})

t.test('a stretch that changes the partition table is torn more often', async (t) => {
  const entries = log(write(1), flush, { at: 512, bytes: 512 }, write(2), flush, write(3), flush, flush)
  const points = choosePoints(entries, 0, entries.length, 6, seeded(1))
  const inTable = points.filter(({ completed }) => completed === 3 || completed === 4)
  t.ok(inTable.length >= 12, `${inTable.length} points`)
  t.equal(points.length, 3 + 3 + 12, 'three stretches, and the extra ones; the last flush completes nothing')
})

t.test('only what lies between the bounds', async (t) => {
  const entries = log(write(0), flush, write(1), flush, write(2), flush, write(3), flush)
  const points = choosePoints(entries, 2, 6, 10, seeded(3))
  t.ok(points.length > 0)
  t.ok(points.every(({ completed }) => completed > 2 && completed <= 6))
})
