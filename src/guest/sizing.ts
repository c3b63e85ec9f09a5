/**
 * Sizing: what each guest gets of the PC of the day.
 *
 * Free of `node:` imports: the stick runs this file under qjs at each boot, and the builder runs it for
 * `plan --on`, so that both give the same numbers.
 * Left out: moving memory between guests while they run.
 */
import { alignUp, type Bytes, formatBytes, formatCpus, GiB, MiB } from '../base/units.js'
import type { Accelerator, Guest } from './definition.js'

/** The machine that the stick is plugged into. */
export interface Pc {
  memory: Bytes
  /** Logical CPUs. */
  cpus: number
  /** Whether /dev/kvm is there; without it guests are emulated. */
  kvm: boolean
}

/** Of a guest, what its size follows from. */
export type Wanting = Pick<Guest<unknown>, 'name' | 'autostart' | 'cpus' | 'memory'>

/** What one guest gets. */
export interface Sized {
  name: string
  /** Whether the stick starts it. */
  start: boolean
  /** Why it is not started, in words for a person; empty when it is. */
  reason: string
  /** Whole MiB. For a guest that is not started: what it would get if somebody started it beside the others. */
  memory: Bytes
  cpus: number
  accelerator: Accelerator
}

/** A guest without an order starts after all that have one: 9999 is the schema's last. */
const FIRST_UNORDERED = 10_000

/** A guest's place in the start order, by what its profile says and its place there; null when it is not started. */
export function startOrder(
  autostart: false | { order?: number | undefined } | undefined,
  index: number,
): number | null {
  if (autostart === false) return null
  return autostart?.order ?? FIRST_UNORDERED + index
}

/** The host's least share. Its own services and the tmpfs over its root need some 300 MiB. */
const LEAST_HOST_RESERVE: Bytes = 512 * MiB

/** The host's largest share: more page cache than this does not make a stick faster. */
const MOST_HOST_RESERVE: Bytes = 2 * GiB

/**
 * What QEMU itself takes beside a guest's memory; under emulation most of it is translated code. It comes out of
 * what is shared above the minimums, never out of a minimum: a guest that a profile promises for a PC of some size
 * must start on it.
 */
const QEMU_OVERHEAD: Record<Accelerator, Bytes> = { kvm: 64 * MiB, tcg: 192 * MiB }

/** What the host keeps: an eighth of the PC's memory, at least 512 MiB (so up to 4 GiB), at most 2 GiB. */
export function hostReserve(memory: Bytes): Bytes {
  return Math.min(MOST_HOST_RESERVE, Math.max(LEAST_HOST_RESERVE, wholeMiB(memory / 8)))
}

/**
 * Divides the PC among the guests. In start order each guest is first given its least memory; one for which that
 * is no longer there, or that needs more CPUs than the PC has, is not started. What is left is shared in
 * proportion to what each could still use. CPUs are not divided: guests may share them.
 *
 * @returns the guests that the stick starts, in start order, then those that it does not start by itself
 */
export function sizeGuests(guests: readonly Wanting[], pc: Pc): Sized[] {
  const ordered = guests.filter((guest) => guest.autostart !== null).sort(byStartOrder)
  let left = Math.max(0, wholeMiB(pc.memory - hostReserve(pc.memory)))
  const admitted = ordered.map((guest) => {
    const reason = obstacle(guest, left, pc)
    if (!reason) left -= least(guest)
    return { guest, reason }
  })
  const running = admitted.filter(({ reason }) => !reason).map(({ guest }) => guest)
  const overhead = QEMU_OVERHEAD[acceleratorOf(pc)]
  const shares = share(running, Math.max(0, left - overhead * running.length), pc)
  const rest = left - sum([...shares.values()])
  const started = admitted.map(({ guest, reason }) =>
    sized(guest, pc, reason, least(guest) + (shares.get(guest) ?? 0)),
  )
  const others = guests
    .filter((guest) => guest.autostart === null)
    .map((guest) => sized(guest, pc, 'autostart is off in the profile', alone(guest, rest - overhead, pc)))
  return [...started, ...others]
}

function acceleratorOf(pc: Pc): Accelerator {
  return pc.kvm ? 'kvm' : 'tcg'
}

function byStartOrder(a: Wanting, b: Wanting): number {
  return (a.autostart ?? 0) - (b.autostart ?? 0)
}

/** Why a guest cannot start with `left` bytes to give away; empty when it can. */
function obstacle(guest: Wanting, left: Bytes, pc: Pc): string {
  if (guest.cpus.min > pc.cpus) return `needs ${formatCpus(guest.cpus.min)}, this PC has ${pc.cpus}`
  if (least(guest) > left) {
    return `needs ${formatBytes(least(guest))} of memory, ${formatBytes(left)} is left on this PC`
  }
  return ''
}

/** What each guest gets above its least memory: never more than it can use, never more than `spare` together. */
function share(guests: Wanting[], spare: Bytes, pc: Pc): Map<Wanting, Bytes> {
  const wanted = sum(guests.map((guest) => wish(guest, pc)))
  const part = Math.min(1, spare / Math.max(1, wanted))
  return new Map(guests.map((guest) => [guest, wholeMiB(wish(guest, pc) * part)]))
}

function alone(guest: Wanting, rest: Bytes, pc: Pc): Bytes {
  const extra = wholeMiB(rest - least(guest))
  return least(guest) + Math.max(0, Math.min(wish(guest, pc), extra))
}

function sized(guest: Wanting, pc: Pc, reason: string, memory: Bytes): Sized {
  return {
    name: guest.name,
    start: reason === '',
    reason,
    memory,
    cpus: Math.max(guest.cpus.min, Math.min(guest.cpus.max, pc.cpus)),
    accelerator: acceleratorOf(pc),
  }
}

function least(guest: Wanting): Bytes {
  return alignUp(guest.memory.min, MiB)
}

/** What it can use above its least memory: nothing where its share of a small PC is below that. */
function wish(guest: Wanting, pc: Pc): Bytes {
  const { max } = guest.memory
  const most = typeof max === 'number' ? max : (pc.memory * max.percent) / 100
  return Math.max(0, wholeMiB(most) - least(guest))
}

function wholeMiB(bytes: number): Bytes {
  return Math.floor(bytes / MiB) * MiB
}

function sum(values: Bytes[]): Bytes {
  return values.reduce((total, value) => total + value, 0)
}
