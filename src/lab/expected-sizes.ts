/**
 * Sizes: what each guest of a trial is to have of its PC, which is the one that is emulated and not what the stick took it
 * for.
 */
import type { HostEvent } from '../guest/report.js'
import { type Sized, sizeGuests } from '../guest/sizing.js'
import type { VirtualPc } from '../pc/virtual-pc.js'
import type { Trial } from './trial.js'

/** Of a trial, what sizes follow from. */
export type Sizing = Pick<Trial, 'events'> & {
  pc: Pick<VirtualPc, 'memory' | 'cpus' | 'accelerator' | 'virtualization'>
  manifest: Pick<Trial['manifest'], 'guests'>
}

/**
 * Only whether this machine's own CPU passes its virtualization on cannot be known here, and is taken from the stick. That
 * decides accelerators, and never which guests start.
 */
export function sizesOn({ pc, manifest, events }: Sizing): Sized[] {
  const { memory, cpus, accelerator, virtualization } = pc
  const host = events.find((event): event is HostEvent => event.event === 'host')
  const kvm = virtualization && (accelerator === 'tcg' || host?.accelerator === 'kvm')
  return sizeGuests(manifest.guests, { memory, cpus, kvm })
}

/** Guests that the PC is too small for, by name, and why. */
export function tooMuchOf(sizes: readonly Sized[]): Map<string, string> {
  return new Map(sizes.filter(({ start }) => !start).map(({ name, reason }) => [name, reason]))
}
