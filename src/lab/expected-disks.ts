/**
 * Which disks a guest must have, by their serial numbers: those that it was built with. Pure.
 */
import type { Hardware } from '../guest/report.js'
import type { ManifestGuest } from '../stick/manifest.js'

/** What is wrong with the disks that its QEMU was started with, in words; empty where they are those of the manifest. */
export function otherDisks({ diskSerials }: Hardware, { drives }: Pick<ManifestGuest, 'drives'>): string {
  const built = drives.flatMap((drive) => (drive.kind === 'cdrom' ? [] : [drive.serial]))
  const words = (serials: readonly string[]) => serials.join(', ') || 'none'
  if (words(built) === words(diskSerials)) return ''
  return `its disks are ${words(diskSerials)}, and were built as ${words(built)}`
}
