/**
 * Limits: what no stick can go below, or above, whatever else its profile says; for the Plan, and for `validate`.
 *
 * Left out: what depends on the PC of the day (`guest/sizing.ts`), and on finished bytes (`layout.ts`).
 */
import { USUAL_ARCHITECTURE } from '../arch/architecture.js'
import { alignUp, type Bytes, MiB, SECTOR } from '../base/units.js'
import type { StickPlan } from './definition.js'
import { estimateLayout } from './layout.js'

/** Partitions begin and end at multiples of this. */
export const ALIGNMENT: Bytes = MiB

/** Addresses that the guests' network has for network cards: 172.29.86.10 to 172.29.86.199. */
export const MOST_CARDS = 190

/**
 * 65,525 clusters of 512 bytes are the least that makes a file system FAT32, with two tables of 4 bytes for each, and 32
 * sectors before them (FAT specification 1.03, pages 8 and 14). What lies on the ESP of the smallest host comes to less:
 * 28 MiB, of which kernel and initrd are 23.
 */
export const LEAST_ESP: Bytes = alignUp(65525 * SECTOR + 2 * alignUp(65525 * 4, SECTOR) + 32 * SECTOR, MiB)

/** With processors' microcode in the initrd, 42 MiB lie there. */
export const LEAST_ESP_WITH_MICROCODE: Bytes = 40 * MiB

/**
 * A host without firmware, packages and files of the user's has a root of 163 MiB, its hash tree included; a later Debian
 * may make it somewhat smaller.
 */
export const LEAST_ROOT_SLOT: Bytes = 150 * MiB

/**
 * The disk of a guest without packages and files of the user's: 222 MiB of files, 43 MiB before and behind its root, and
 * what ext4 takes for itself; a later Debian may make it somewhat smaller.
 */
export const LEAST_GUEST_DISK: Bytes = 256 * MiB

/** Headroom of a library that has no fixed size, so that a later one fits. */
export const LIBRARY_HEADROOM_PERCENT = 25

/** What every stick has, whatever its profile says. */
export const FIXED_SIZES = {
  alignment: ALIGNMENT,
  biosBoot: MiB,
  secondEsp: 128 * MiB,
  settings: 64 * MiB,
  // What guests write, and the host's own changes.
  dataMinimum: 512 * MiB,
} as const satisfies Partial<StickPlan>

/** The smallest stick for partitions of these sizes. */
export function leastStick({
  esp,
  rootSlot,
  library,
}: {
  esp: Bytes
  rootSlot: Bytes
  library: Bytes
}): Bytes {
  const stick: StickPlan = {
    ...FIXED_SIZES,
    architecture: USUAL_ARCHITECTURE,
    firmware: [],
    minimumSize: 0,
    esp,
    rootSlot,
    library: { size: library },
  }
  const used = { biosBoot: 0, esp: 0, root: 0, settings: 0, library: 0 }
  return estimateLayout(stick, used).smallestStick
}

/** A library of these files, with its headroom; without what its file system takes. */
export function leastLibrary(files: readonly Bytes[]): Bytes {
  const content = files.reduce((sum, size) => sum + size, 0)
  return Math.ceil((content * (100 + LIBRARY_HEADROOM_PERCENT)) / 100)
}
