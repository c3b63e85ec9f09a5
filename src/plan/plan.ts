/**
 * The Plan: every decision that a profile leaves open, taken once. A pure function of the profile, the lock and
 * what was found out about the files that the profile names: no clock, no random, no I/O.
 *
 * Left out: sizes that depend on finished bytes (`layout.ts`), and checks of the profile (`profile/`): what is
 * wrong here although it was validated is our own bug.
 */

import { resolve } from 'node:path/posix'
import { ARCHITECTURES, USUAL_ARCHITECTURE } from '../arch/architecture.js'
import { KeyvisorError } from '../base/errors.js'
import { lookUp } from '../base/lookup.js'
import { type Bytes, formatBytes, parseBytes, parsePercent } from '../base/units.js'
import type { PlannedFile } from '../debian/types.js'
import type { GuestNic, Ready } from '../guest/definition.js'
import { MOST_DISKS } from '../guest/domain-devices.js'
import { startOrder } from '../guest/sizing.js'
import type { Lock } from '../lock/types.js'
import { isLatin } from '../profile/names.js'
import {
  type Admin,
  DEFAULTS,
  type Guest,
  type MemoryRange,
  type Profile,
  type RootFile,
} from '../profile/profile.gen.js'
import type { StickPlan } from '../stick/definition.js'
import { ALIGNMENT, BIOS_BOOT, DATA_MINIMUM, LIBRARY_HEADROOM_PERCENT } from '../stick/limits.js'
import { type Card, type CardIdentity, guestSerial, guestUuid, identifyCards, NETWORK } from './identity.js'
import { guestPackages, hostPackages } from './packages.js'
import type { GuestPlan, GuestSource, HostPlan, Plan, Uplink } from './types.js'

/** What the caller found out about the files that a profile names. */
export interface ProfileFiles {
  /** Absolute path of the folder that the profile's relative paths begin in. */
  folder: string
  /** Text of each of `host.admin.sshKeyFiles`, by its path as the profile has it. */
  sshKeyFiles: Readonly<Record<string, string>>
  /** Virtual size of the base image of each guest that has an image as source, by guest. */
  virtualSizes: Readonly<Record<string, Bytes>>
}

/** The host's bridge, where it has one: the name that everybody gives it. */
const BRIDGE = 'br0'

/**
 * Makes the Plan of a valid profile, frozen.
 *
 * @throws KeyvisorError `disk-smaller-than-base`, where an image is another one than when the profile was validated; Error
 *   (BUG) where profile, lock and files do not belong together
 */
export function makePlan(profile: Profile, lock: Lock, files: ProfileFiles): Plan {
  return freeze({
    version: 1,
    name: profile.name,
    epoch: lock.epoch,
    stick: planStick(profile),
    host: planHost(profile, files),
    network: NETWORK,
    guests: planGuests(profile, lock, files),
  })
}

function planStick(profile: Profile): StickPlan {
  const stick = { ...DEFAULTS.stick, ...profile.stick }
  const library = stick.library === undefined ? undefined : bytes(stick.library)
  return {
    architecture: USUAL_ARCHITECTURE,
    firmware: [...stick.firmware],
    minimumSize: bytes(stick.minimumSize),
    alignment: ALIGNMENT,
    biosBoot: BIOS_BOOT,
    esp: bytes(stick.esp),
    rootSlot: bytes(stick.rootSlot),
    library: library === undefined ? { headroomPercent: LIBRARY_HEADROOM_PERCENT } : { size: library },
    dataMinimum: DATA_MINIMUM,
  }
}

function planHost(profile: Profile, files: ProfileFiles): HostPlan {
  const host = { ...DEFAULTS.host, ...profile.host }
  return {
    suite: host.suite,
    hostname: host.hostname ?? profile.name,
    locale: host.locale,
    keyboard: planKeyboard(host.keyboard, host.keyboardVariant ?? ''),
    timezone: host.timezone,
    admin: planAdmin(host.admin ?? {}, files),
    uplink: planUplink(profile),
    bridge: profile.host?.network?.bridge ? BRIDGE : null,
    wifi: (profile.host?.network?.wifi ?? []).map(({ ssid }) => ({ ssid })),
    firmware: [...host.firmware],
    packages: hostPackages(profile),
    files: host.files.map((file) => planFile(file, files.folder)),
    // The last console is the one that init writes to: the screen, where a person looks.
    kernelArguments: [`console=${ARCHITECTURES[USUAL_ARCHITECTURE].serial},115200`, 'console=tty0'],
  }
}

/** Without Latin letters nobody could type a user name: such a layout comes second, as Debian's installer does it. */
function planKeyboard(layout: string, variant: string): HostPlan['keyboard'] {
  if (isLatin(layout, variant)) return { layout, variant, options: '' }
  return { layout: `us,${layout}`, variant: `,${variant}`, options: 'grp:alt_shift_toggle' }
}

function planAdmin(given: Admin, files: ProfileFiles): HostPlan['admin'] {
  const admin = { ...DEFAULTS.admin, ...given }
  const fromFiles = admin.sshKeyFiles.flatMap((path) => {
    const text = lookUp(files.sshKeyFiles, path)
    if (text === undefined) throw new Error(`BUG: ${path} was not read`)
    return keyLines(text)
  })
  return {
    name: admin.name,
    sshKeys: [...new Set([...admin.sshKeys.map((key) => key.trim()), ...fromFiles])],
    password: admin.passwordHash !== undefined,
  }
}

/** Lines of an authorized_keys or .pub file (sshd(8), AUTHORIZED_KEYS FILE FORMAT). */
function keyLines(text: string): string[] {
  return text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'))
}

function planUplink(profile: Profile): Uplink {
  const { uplink } = { ...DEFAULTS.hostNetwork, ...profile.host?.network }
  if (uplink === 'dhcp') return { kind: 'dhcp' }
  const { address, gateway, dns } = { ...DEFAULTS.staticUplink, ...uplink }
  return { kind: 'static', address, gateway, dns: [...dns] }
}

function planFile(given: RootFile, folder: string): PlannedFile {
  const file = { ...DEFAULTS.rootFile, ...given }
  return {
    source: resolve(folder, file.source),
    target: file.target,
    mode: Number.parseInt(file.mode, 8),
    owner: file.owner,
  }
}

function planGuests(profile: Profile, lock: Lock, files: ProfileFiles): GuestPlan[] {
  const guests = profile.guests ?? []
  const cards = guests.flatMap((guest) => nicsOf(guest).map((nic, index) => cardOf(guest, nic, index)))
  const identities = identifyCards(profile.name, cards)
  return guests.map((guest, index) => {
    const own = identities.filter((_, place) => cards[place]?.guest === guest.name)
    return planGuest(profile, guest, index, own, planSource(guest, lock, files), files)
  })
}

function nicsOf(guest: Guest): NonNullable<Guest['nics']> {
  return guest.nics ?? DEFAULTS.guest.nics
}

function cardOf(guest: Guest, nic: { mac?: string }, index: number): Card {
  return { guest: guest.name, index, ...(nic.mac === undefined ? {} : { mac: nic.mac }) }
}

function planGuest(
  profile: Profile,
  given: Guest,
  index: number,
  cards: CardIdentity[],
  source: GuestSource,
  files: ProfileFiles,
): GuestPlan {
  const guest = { ...DEFAULTS.guest, ...given }
  const serial = (part: string) => guestSerial(profile.name, guest.name, part)
  return {
    name: guest.name,
    uuid: guest.uuid?.toLowerCase() ?? guestUuid(profile.name, guest.name),
    serial: guest.serial ?? serial('machine'),
    machine: guest.machine,
    firmware: guest.firmware,
    cpus: typeof guest.cpus === 'number' ? { min: guest.cpus, max: guest.cpus } : { ...guest.cpus },
    memory: planMemory(guest.memory),
    disk: { size: diskSize(guest, source, files), serial: serial('disk-0') },
    disks: planDisks(guest, serial),
    nics: cards.map((card, place) => planNic(card, guest.nics[place]?.network)),
    ports: guest.ports.map((port) => ({ ...port })),
    usb: guest.usb.map((device) => ({
      vendor: device.vendor.toLowerCase(),
      product: device.product.toLowerCase(),
    })),
    shares: guest.shares.map(({ name }) => ({ name })),
    autostart: startOrder(guest.autostart, index),
    changes: guest.changes,
    ready: planReady(guest.ready),
    source,
  }
}

/** A share alone is a range, whose least is that of a guest whose profile says nothing. */
function planMemory(memory: NonNullable<Guest['memory']>): GuestPlan['memory'] {
  if (typeof memory === 'object') return { min: bytes(memory.min), max: bytesOrShare(memory.max) }
  const most = bytesOrShare(memory)
  if (typeof most === 'number') return { min: most, max: most }
  return { min: bytes((DEFAULTS.guest.memory as MemoryRange).min), max: most }
}

function bytesOrShare(text: string): Bytes | { percent: number } {
  const percent = parsePercent(text)
  return percent === undefined ? bytes(text) : { percent }
}

/** A card on the bridge has an address on the guests' network kept for it: it may be put there one day. */
function planNic({ mac, address }: CardIdentity, network: 'nat' | 'bridge' | undefined): GuestNic {
  return network === 'bridge'
    ? { bridge: BRIDGE, mac, address: null }
    : { network: NETWORK.name, mac, address }
}

function planSource(guest: Guest, lock: Lock, files: ProfileFiles): GuestSource {
  if ('debian' in guest.source) {
    const tree = { ...DEFAULTS.debianTree, ...guest.source.debian }
    return {
      kind: 'debian',
      suite: tree.suite,
      sources: lookUp(lock.sources, tree.suite) ?? [],
      packages: guestPackages(tree, guest.usb),
      files: tree.files.map((file) => planFile(file, files.folder)),
      units: [...tree.units],
      size: bytes(tree.size),
    }
  }
  const pinned = lookUp(lock.images, guest.name)
  if (!pinned) throw new Error(`BUG: the lock has no image for guest ${guest.name}`)
  const { image, format } = guest.source
  return {
    kind: 'image',
    path: resolve(files.folder, image),
    format,
    sha256: pinned.sha256,
    size: pinned.size,
  }
}

/** The size that the profile names, else the base image's. Smaller than the base would cut its file system off. */
function diskSize(guest: Guest, source: GuestSource, files: ProfileFiles): Bytes {
  const base = source.kind === 'debian' ? source.size : lookUp(files.virtualSizes, guest.name)
  if (base === undefined) throw new Error(`BUG: the size of guest ${guest.name}'s image was not read`)
  const size = guest.disk === undefined ? base : bytes(guest.disk)
  if (size < base) {
    const sizes = `${formatBytes(size)}, its base image has ${formatBytes(base)}`
    throw new KeyvisorError('disk-smaller-than-base', `the disk of guest ${guest.name} has ${sizes}`, {
      hint: `set its disk to at least ${formatBytes(base)}, or leave it out`,
    })
  }
  return size
}

function planDisks(guest: Guest, serial: (part: string) => string): GuestPlan['disks'] {
  const disks = guest.disks ?? []
  if (disks.length >= MOST_DISKS) {
    throw new Error(`BUG: guest ${guest.name} has ${disks.length} disks beside its first`)
  }
  return disks.map((disk, index) => ({
    size: bytes(disk.size),
    serial: disk.serial ?? serial(`disk-${index + 1}`),
  }))
}

function planReady(ready: NonNullable<Guest['ready']>): Ready {
  if (typeof ready === 'string') return { kind: ready }
  return 'tcp' in ready ? { kind: 'tcp', port: ready.tcp } : { kind: 'log', pattern: ready.log }
}

/** A size that the schema has let through. */
function bytes(text: string): Bytes {
  const value = parseBytes(text)
  if (value === undefined) throw new Error(`BUG: ${text} is not a size`)
  return value
}

/** Freezes a value and all that is in it. */
function freeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null) {
    for (const member of Object.values(value)) freeze(member)
    Object.freeze(value)
  }
  return value
}
