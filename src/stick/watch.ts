/**
 * The watch after the boot: a guest that QEMU paused because data is full goes on when there is space again.
 *
 * QEMU pauses a guest that it cannot write for (`werror=enospc`, its default for virtio disks), so that nothing is
 * lost. Left out: what to delete, which only a person can say.
 */

import { type Bytes, MiB } from '../base/units.js'
import type { DataEvent } from '../plan/report.js'
import { isRunning, virsh } from './guest.js'
import { type Machine, must } from './machine.js'
import type { Report } from './report.js'

/** Milliseconds between two looks. */
export const WATCH_EVERY = 5000

/** From here on the guests' states are asked for; asking costs more than reading what is free. */
const LOW: Bytes = 512 * MiB

/** What must be free before a guest goes on: with less it would be paused again at once. */
const ENOUGH: Bytes = 64 * MiB

/** Begins to watch these guests. The answer looks once; what it cannot find out, the next look may. */
export function openWatch(machine: Machine, report: Report, guests: readonly string[]): () => void {
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

/** What guests can still write, whose QEMU is not root: ext4 keeps a last hundredth for that (mke2fs(8), -m). */
function freeBytes(machine: Machine): Bytes {
  return Number(must(machine, ['df', '--output=avail', '-B1', '/data']).split('\n')[1])
}

function isPaused(machine: Machine, guest: string): boolean {
  return (
    isRunning(machine, { name: guest }) &&
    must(machine, virsh('domstate', guest, '--reason')).includes('paused (I/O error)')
  )
}
