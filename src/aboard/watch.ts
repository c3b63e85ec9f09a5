/**
 * The watch after the boot: a guest that QEMU paused because data is full goes on when there is space again.
 *
 * Left out: what to delete, which only a person can say.
 */
import type { Bytes } from '../base/units.js'
import type { DataEvent } from '../guest/report.js'
import { ENOUGH, freeBytes, isPaused, LOW, virsh } from './guest.js'
import { type Machine, must } from './machine.js'
import type { Report } from './report.js'

/** Milliseconds between two looks. */
export const WATCH_EVERY = 5000

/** Begins to watch these guests. The answer looks once; what it cannot find out, the next look may. */
export function openWatch(
  machine: Machine,
  report: Pick<Report, 'tell'>,
  guests: readonly string[],
): () => void {
  const paused = new Set<string>()
  const tell = (state: DataEvent['state'], free: Bytes) =>
    report.tell({ event: 'data', state, free, guests: [...paused] })
  return () => {
    const free = freeBytes(machine)
    const found = free < LOW ? guests.filter((guest) => isPaused(machine, guest)) : []
    const more = found.filter((guest) => !paused.has(guest))
    for (const guest of more) paused.add(guest)
    if (more.length > 0) tell('full', free)
    if (paused.size === 0 || free < ENOUGH) return
    for (const guest of paused) must(machine, virsh('resume', guest))
    tell('free', free)
    paused.clear()
  }
}
