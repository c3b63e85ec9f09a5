/**
 * Package sets: what is asked of Debian for the tools, the host and the guests. A lock pins the answers.
 *
 * Left out: those of a guest (`sources/`), resolving (`debian/`), and files that are taken from packages one by one.
 */

import { ARCHITECTURES, USUAL_ARCHITECTURE } from '../arch/architecture.js'
import { sortedSet } from '../base/sorted.js'
import type { PackageRequest } from '../debian/types.js'
import type { AskedPackages } from '../sources/source.js'
import { sourceOutside, sourcePackages } from '../sources/sources.js'
import { DEFAULTS, type Profile } from '../yaml/profile.gen.js'
import { FIRMWARE_COMPONENT, firmwarePackages } from './firmware.js'
import { HOST_PACKAGES, SETTING_PACKAGES, SHARE_PACKAGES, WIFI_PACKAGES } from './host-packages.js'
import type { GuestPlan } from './types.js'

/** Suite of the tools trees. */
const TOOLS_SUITE = 'trixie'

const HERE = ARCHITECTURES[USUAL_ARCHITECTURE]

/** What a tree needs in which shell scripts run; unpacking alone does not bring Debian's essential packages. */
const SHELL = ['base-files', 'libc-bin', 'bash', 'dash', 'coreutils', 'grep', 'sed', 'findutils', 'diffutils']

/** Tools that make the bytes of an image. */
const PACK_TOOLS = [
  ...SHELL,
  'tar',
  'cpio',
  'gzip',
  'zstd',
  'util-linux',
  'squashfs-tools',
  'e2fsprogs',
  'dosfstools',
  'mtools',
  'gdisk',
  'fdisk',
  'cryptsetup-bin',
  'qemu-utils',
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
    HERE.qemu.package,
    ...HERE.qemu.firmware,
    'qemu-utils',
    'swtpm',
    'swtpm-tools',
    'mtools',
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
 * Every set that the profile needs: the tools, the host, and a tree for each guest that is made of packages. Guests with the
 * same suite and packages get equal lists, so that they share one tree.
 */
export function packageRequests(profile: Profile): PackageRequest[] {
  const guests = (profile.guests ?? []).flatMap((guest): PackageRequest[] => {
    const { packages } = sourceOutside(guest)
    if (!packages) return []
    const { suite, packages: names } = packages
    return [{ set: guestSet(guest), suite, architecture: HERE.debian, packages: names }]
  })
  const tools = { suite: TOOLS_SUITE, architecture: HERE.debian }
  return [
    { set: 'tools.pack', ...tools, packages: sortedSet(PACK_TOOLS) },
    { set: 'tools.publish', ...tools, packages: sortedSet(PUBLISH_TOOLS) },
    hostRequest(profile),
    ...guests,
  ]
}

/** Name of the set of a guest's packages. */
export function guestSet({ name }: { name: string }): string {
  return `guest.${name}`
}

/** The packages that a guest's base is made of; undefined where nobody knows what is in it. */
export function guestPackages({ source }: Pick<GuestPlan, 'source'>): AskedPackages | undefined {
  return sourcePackages(source)
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
    ...HOST_PACKAGES,
    ...settings,
    ...wifi,
    ...shares,
    ...firmwarePackages(host.firmware),
    ...host.packages,
  ])
}
