/** A stick for tests: what a plan decides of it, and what is in its partitions. */
import { GiB, MiB } from '../../src/base/units.js'
import type { StickPlan } from '../../src/stick/definition.js'
import type { Payloads } from '../../src/stick/layout.js'

export const STICK: StickPlan = {
  architecture: 'amd64',
  firmware: ['bios', 'uefi', 'secureboot'],
  minimumSize: 4 * GiB,
  alignment: MiB,
  biosBoot: MiB,
  esp: 256 * MiB,
  secondEsp: 128 * MiB,
  rootSlot: 384 * MiB,
  settings: 64 * MiB,
  library: { headroomPercent: 25 },
  dataMinimum: 512 * MiB,
}

/** The same with partitions that a test can fill: those of its own are given. */
export function smallStick(sizes: Pick<StickPlan, 'esp' | 'secondEsp' | 'rootSlot' | 'settings'>): StickPlan {
  return { ...STICK, firmware: ['bios'], minimumSize: GiB, dataMinimum: 64 * MiB, ...sizes }
}

export function payloads(change: Partial<Payloads> = {}): Payloads {
  return {
    biosBoot: { size: 105297, digest: 'a'.repeat(64) },
    esp: { size: 256 * MiB, digest: 'b'.repeat(64) },
    root: { size: 184 * MiB, digest: 'c'.repeat(64) },
    settings: { size: 64 * MiB, digest: 'e'.repeat(64) },
    library: { size: 100 * MiB, digest: 'd'.repeat(64) },
    ...change,
  }
}
