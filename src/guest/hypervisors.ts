/**
 * The hypervisors, a folder each; there is one, `kvm/`. No file outside says what is true of one alone.
 *
 * Free of `node:` imports: the stick runs this file under qjs.
 */
import type { Architecture } from '../arch/architecture.js'
import type { Hypervisor } from './hypervisor.js'
import { MOST, mostCompatibleDrives } from './kvm/devices.js'
import { kvm } from './kvm/kvm.js'
import { refusesSecureBoot } from './kvm/machine.js'

/** What runs the guests of a stick. */
export function hypervisorOn(architecture: Architecture): Hypervisor {
  return kvm(architecture)
}

/** How many network cards, disks, CDs and shared folders a guest can have. */
export const MOST_DEVICES: Readonly<Record<'nics' | 'disks' | 'cdroms' | 'shares', number>> = MOST

export { mostCompatibleDrives, refusesSecureBoot }
