/**
 * Package sets: what is asked of Debian for the tools, the host and the guests. A lock pins the answers.
 *
 * Left out: resolving (`debian/`), and files that are taken from packages one by one.
 */

import { ARCHITECTURES, USUAL_ARCHITECTURE } from '../arch/architecture.js'
import type { PackageRequest } from '../debian/types.js'
import { DEFAULTS, type DebianTree, type Profile, type UsbDevice } from '../yaml/profile.gen.js'
import { FIRMWARE_COMPONENT, firmwarePackages } from './firmware.js'
import { HOST_PACKAGES, SETTING_PACKAGES, SHARE_PACKAGES, WIFI_PACKAGES } from './host-packages.js'

/** Suite of the tools trees. */
const TOOLS_SUITE = 'trixie'

const HERE = ARCHITECTURES[USUAL_ARCHITECTURE]

/** What a tree needs in which shell scripts run; unpacking alone does not bring Debian's essential packages. */
const SHELL = ['base-files', 'libc-bin', 'bash', 'dash', 'coreutils', 'grep', 'sed', 'findutils', 'diffutils']

/** Tools that make the bytes of an image. */
const PACK_TOOLS = [
  ...SHELL,
  ...['tar', 'cpio', 'gzip', 'zstd', 'util-linux', 'squashfs-tools', 'e2fsprogs', 'dosfstools', 'mtools'],
  ...['gdisk', 'fdisk', 'cryptsetup-bin', 'qemu-utils'],
  // The boot chain: these files go to the ESP as they are.
  ...HERE.grub.packages,
]

/** Tools that make what is published beside an image. A set of its own: a new one of them changes no image's keys. */
const PUBLISH_TOOLS = ['libc-bin', 'minisign', 'xz-utils', 'zstd']

/**
 * Tools that boot an image. In no profile's lock: what an image is tried with is no input of it. From backports: under
 * emulation QEMU 10.0 now and then hangs or aborts while a guest of the stick runs with KVM (seen in 3 boots of about a
 * dozen; with 11.1 in none of ten guest starts).
 */
export const LAB_PACKAGES: PackageRequest = {
  set: 'tools.lab',
  suite: `${TOOLS_SUITE}-backports`,
  architecture: HERE.debian,
  packages: sortedSet([
    ...SHELL,
    ...[HERE.qemu.package, ...HERE.qemu.firmware],
    ...['qemu-utils', 'swtpm', 'swtpm-tools', 'mtools'],
  ]),
}

/** Tools that look into a stick that lost power. In no profile's lock, either. */
export const CHECK_PACKAGES: PackageRequest = {
  set: 'tools.check',
  suite: TOOLS_SUITE,
  architecture: HERE.debian,
  packages: sortedSet([...SHELL, 'e2fsprogs', 'qemu-utils']),
}

/**
 * The least with which a Debian guest starts, has network and a console. zstd packs its initrd. apt is named, since
 * mmdebstrap's own variant with apt gives other bytes from version to version.
 */
const GUEST_PACKAGES = [
  ...['systemd', 'systemd-sysv', 'systemd-resolved', 'dbus', 'udev', 'kmod', 'iproute2', 'e2fsprogs'],
  ...['initramfs-tools', 'zstd', 'apt'],
]

/**
 * Every set that the profile needs: the tools, the host, and a tree for each Debian guest. Guests with the same
 * suite and packages get equal lists, so that they share one tree.
 */
export function packageRequests(profile: Profile): PackageRequest[] {
  const guests = (profile.guests ?? []).flatMap((guest): PackageRequest[] => {
    if (!('debian' in guest.source)) return []
    const suite = guest.source.debian.suite ?? DEFAULTS.debianTree.suite
    const packages = guestPackages(guest.source.debian, guest.usb)
    return [{ set: `guest.${guest.name}`, suite, architecture: HERE.debian, packages }]
  })
  const tools = { suite: TOOLS_SUITE, architecture: HERE.debian }
  return [
    { set: 'tools.pack', ...tools, packages: sortedSet(PACK_TOOLS) },
    { set: 'tools.publish', ...tools, packages: sortedSet(PUBLISH_TOOLS) },
    hostRequest(profile),
    ...guests,
  ]
}

function hostRequest(profile: Profile): PackageRequest {
  const { suite, firmware } = { ...DEFAULTS.host, ...profile.host }
  const request = { set: 'host', suite, architecture: HERE.debian, packages: hostPackages(profile) }
  return firmware.length === 0 ? request : { ...request, component: FIRMWARE_COMPONENT }
}

/** The packages asked for on the host, sorted: its own, those that settings, guests and PC need, and the user's. */
export function hostPackages(profile: Profile): string[] {
  const host = { ...DEFAULTS.host, ...profile.host }
  const asked = { ...host, keyboard: [host.keyboard, host.keyboardVariant].filter(Boolean).join(' ') }
  const settings = (['locale', 'keyboard', 'timezone'] as const).flatMap((setting) =>
    asked[setting] === SETTING_PACKAGES[setting].usual ? [] : SETTING_PACKAGES[setting].packages,
  )
  const wifi = host.network?.wifi?.length ? WIFI_PACKAGES : []
  const shares = profile.guests?.some((guest) => guest.shares?.length) ? SHARE_PACKAGES : []
  return sortedSet([
    ...[...HOST_PACKAGES, ...settings, ...wifi, ...shares],
    ...[...firmwarePackages(host.firmware), ...host.packages],
  ])
}

/** The packages asked for in a Debian guest, sorted: the bootable base, a kernel for its devices, and the user's. */
export function guestPackages(tree: DebianTree, usb: readonly UsbDevice[] = []): string[] {
  // The small one has no USB.
  const kernel = usb.length > 0 ? HERE.kernels.package : HERE.kernels.cloud
  return sortedSet([...GUEST_PACKAGES, kernel, ...(tree.packages ?? [])])
}

/** By code unit: a locale must not change a key. */
function sortedSet(names: readonly string[]): string[] {
  return [...new Set(names)].sort()
}
