/**
 * Limits: what no stick can go below, or above, whatever else its profile says; for the Plan, and for `validate`.
 *
 * Left out: what depends on the PC of the day (`guest/sizing.ts`), and on finished bytes (`layout.ts`).
 */
import { alignUp, type Bytes, MiB, SECTOR } from '../base/units.js'

/** Partitions begin and end at multiples of this. */
export const ALIGNMENT: Bytes = MiB
export const BIOS_BOOT: Bytes = MiB
/** Of the data partition that first boot makes: what guests write, and the host's own changes. */
export const DATA_MINIMUM: Bytes = 512 * MiB

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

/** The smallest stick for partitions of these sizes, the GPT at both ends included. */
export function smallestStick(sizes: { esp: Bytes; rootSlot: Bytes; library: Bytes }): Bytes {
  const { esp, rootSlot, library } = sizes
  const partitions = [BIOS_BOOT, esp, rootSlot, rootSlot, library, DATA_MINIMUM]
  const tables = 2 * ALIGNMENT
  return partitions.reduce((sum, size) => sum + Math.max(ALIGNMENT, alignUp(size, ALIGNMENT)), tables)
}

/** A library of these files, with its headroom; without what its file system takes. */
export function leastLibrary(files: readonly Bytes[]): Bytes {
  const content = files.reduce((sum, size) => sum + size, 0)
  return Math.ceil((content * (100 + LIBRARY_HEADROOM_PERCENT)) / 100)
}
