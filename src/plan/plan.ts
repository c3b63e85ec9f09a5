/**
 * The Plan: every decision that a profile leaves open, taken once. A pure function of the profile, the lock and
 * what was found out about the files that the profile names: no clock, no random, no I/O.
 *
 * Left out: sizes that depend on finished bytes (`layout.ts`), and checks of the profile (`profile/`): what is
 * wrong here although it was validated is our own bug.
 */

import { ARCHITECTURES, USUAL_ARCHITECTURE } from '../arch/architecture.js'
import { lookUp } from '../base/lookup.js'
import { type Bytes, parsePercent } from '../base/units.js'
import type { GuestNic, Ready } from '../guest/definition.js'
import { startOrder } from '../guest/sizing.js'
import { otherFiles } from '../sources/drives.js'
import { importStage, planImage } from '../sources/image/file.js'
import { planFile } from '../sources/planned-file.js'
import type { Given, Pins } from '../sources/source.js'
import { planSource, sourceStage } from '../sources/sources.js'
import type { StickPlan } from '../stick/definition.js'
import { FIXED_SIZES, LIBRARY_HEADROOM_PERCENT } from '../stick/limits.js'
import { isLatin } from '../stick/names.js'
import { type Admin, DEFAULTS, type Guest, type MemoryRange, type Profile } from '../yaml/profile.gen.js'
import { sizeBytes } from '../yaml/size.js'
import { planDrives } from './drives.js'
import { type Card, type CardIdentity, guestSerial, guestUuid, identifyCards, NETWORK } from './identity.js'
import { hostPackages } from './packages.js'
import type { GuestPlan, HostPlan, Plan, Uplink } from './types.js'

/** What the caller found out about the files that a profile names. */
export interface ProfileFiles extends Pick<Given, 'folder' | 'virtualSizes'> {
  /** Text of each of `host.admin.sshKeyFiles`, by its path as the profile has it. */
  sshKeyFiles: Readonly<Record<string, string>>
}

/** What a plan takes from a lock. */
interface PlanPins extends Pins {
  /** SOURCE_DATE_EPOCH, seconds. */
  epoch: number
}

/** The host's bridge, where it has one: the name that everybody gives it. */
const BRIDGE = 'br0'

/**
 * Makes the Plan of a valid profile, frozen.
 *
 * @throws KeyvisorError `disk-smaller-than-base`, where an image is another one than when the profile was validated; Error
 *   (BUG) where profile, lock and files do not belong together
 */
export function makePlan(profile: Profile, lock: PlanPins, files: ProfileFiles): Plan {
  return freeze({
    version: 1,
    name: profile.name,
    epoch: lock.epoch,
    stick: planStick(profile),
    host: planHost(profile, files),
    network: NETWORK,
    guests: planGuests(profile, { pins: lock, ...files }),
  })
}

function planStick(profile: Profile): StickPlan {
  const stick = { ...DEFAULTS.stick, ...profile.stick }
  const library = stick.library === undefined ? undefined : sizeBytes(stick.library)
  return {
    architecture: USUAL_ARCHITECTURE,
    firmware: [...stick.firmware],
    minimumSize: sizeBytes(stick.minimumSize),
    ...FIXED_SIZES,
    esp: sizeBytes(stick.esp),
    rootSlot: sizeBytes(stick.rootSlot),
    library: library === undefined ? { headroomPercent: LIBRARY_HEADROOM_PERCENT } : { size: library },
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

function planGuests(profile: Profile, outside: Given): GuestPlan[] {
  const guests = profile.guests ?? []
  const cards = guests.flatMap((guest) => nicsOf(guest).map((nic, index) => cardOf(guest, nic, index)))
  const identities = identifyCards(profile.name, cards)
  return guests.map((guest, index) => {
    const own = identities.filter((_, place) => cards[place]?.guest === guest.name)
    return planGuest(profile, guest, index, own, outside)
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
  outside: Given,
): GuestPlan {
  const guest = { ...DEFAULTS.guest, ...given }
  const { source, size } = planSource(given, outside)
  const base = { stage: sourceStage({ name: guest.name, source }), size }
  return {
    name: guest.name,
    uuid: guest.uuid?.toLowerCase() ?? guestUuid(profile.name, guest.name),
    serial: guest.serial ?? guestSerial(profile.name, guest.name, 'machine'),
    hardware: {
      machine: guest.machine,
      firmware: guest.firmware,
      tpm: guest.firmware === 'uefi-secure',
      hyperv: false,
      clock: 'utc',
      devices: guest.virtio ? 'virtio' : 'compatible',
    },
    cpus: typeof guest.cpus === 'number' ? { min: guest.cpus, max: guest.cpus } : { ...guest.cpus },
    memory: planMemory(guest.memory),
    drives: planDrives(profile.name, given, base, outside),
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
    images: planImages(given, outside),
  }
}

/** A share alone is a range, whose least is that of a guest whose profile says nothing. */
function planMemory(memory: NonNullable<Guest['memory']>): GuestPlan['memory'] {
  if (typeof memory === 'object') return { min: sizeBytes(memory.min), max: bytesOrShare(memory.max) }
  const most = bytesOrShare(memory)
  if (typeof most === 'number') return { min: most, max: most }
  return { min: sizeBytes((DEFAULTS.guest.memory as MemoryRange).min), max: most }
}

function bytesOrShare(text: string): Bytes | { percent: number } {
  const percent = parsePercent(text)
  return percent === undefined ? sizeBytes(text) : { percent }
}

/** A card on the bridge has an address on the guests' network kept for it: it may be put there one day. */
function planNic({ mac, address }: CardIdentity, network: 'nat' | 'bridge' | undefined): GuestNic {
  return network === 'bridge'
    ? { bridge: BRIDGE, mac, address: null }
    : { network: NETWORK.name, mac, address }
}

/** Of the drives behind the first. */
function planImages(guest: Guest, given: Given): GuestPlan['images'] {
  return Object.fromEntries(
    otherFiles(guest).map((file) => [importStage(guest.name, file.drive), planImage(file, given)]),
  )
}

function planReady(ready: NonNullable<Guest['ready']>): Ready {
  if (typeof ready === 'string') return { kind: ready }
  return 'tcp' in ready ? { kind: 'tcp', port: ready.tcp } : { kind: 'log', pattern: ready.log }
}

/** Freezes a value and all that is in it. */
function freeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null) {
    for (const member of Object.values(value)) freeze(member)
    Object.freeze(value)
  }
  return value
}
