/**
 * What is planned of a guest that is built from Debian packages.
 */
import { ARCHITECTURES, USUAL_ARCHITECTURE } from '../../arch/architecture.js'
import { lookUp } from '../../base/lookup.js'
import { sortedSet } from '../../base/sorted.js'
import type { Bytes } from '../../base/units.js'
import type { PlannedFile } from '../../debian/types.js'
import { DEFAULTS, type DebianSource, type DebianTree, type Guest } from '../../yaml/profile.gen.js'
import { sizeBytes } from '../../yaml/size.js'
import { planFile } from '../planned-file.js'
import type { AskedPackages, Given } from '../source.js'

export interface DebianPlan {
  kind: 'debian'
  suite: string
  /** Lines of the guest's own sources.list(5). */
  sources: string[]
  packages: string[]
  files: PlannedFile[]
  units: string[]
  size: Bytes
}

export function askedPackages({ debian: given }: DebianSource, { usb, virtio }: Guest): AskedPackages {
  const tree = { ...DEFAULTS.debianTree, ...given }
  return { suite: tree.suite, packages: guestPackages(tree, (usb?.length ?? 0) > 0 || virtio === false) }
}

export function planDebian(
  written: DebianSource,
  guest: Guest,
  { pins, folder }: Given,
): { source: DebianPlan; size: Bytes } {
  const tree = { ...DEFAULTS.debianTree, ...written.debian }
  const { suite, packages } = askedPackages(written, guest)
  const size = sizeBytes(tree.size)
  const source: DebianPlan = {
    kind: 'debian',
    suite,
    sources: lookUp(pins.sources, suite) ?? [],
    packages,
    files: tree.files.map((file) => planFile(file, folder)),
    units: [...tree.units],
    size,
  }
  return { source, size }
}

const { kernels } = ARCHITECTURES[USUAL_ARCHITECTURE]

/**
 * The least with which a Debian guest starts, has network and a console. zstd packs its initrd. apt is named, since
 * mmdebstrap's own variant with apt gives other bytes from version to version.
 */
const GUEST_PACKAGES = [
  'systemd',
  'systemd-sysv',
  'systemd-resolved',
  'dbus',
  'udev',
  'kmod',
  'iproute2',
  'e2fsprogs',
  'initramfs-tools',
  'zstd',
  'apt',
]

/** The packages asked for, sorted: the bootable base, a kernel for the guest's devices, and the user's. */
function guestPackages(tree: DebianTree, needsDrivers: boolean): string[] {
  // The small one has no USB, and knows virtio's cards alone.
  const kernel = needsDrivers ? kernels.package : kernels.cloud
  return sortedSet([...GUEST_PACKAGES, kernel, ...(tree.packages ?? [])])
}
