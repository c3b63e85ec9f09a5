/**
 * The Plan and the Lock: every decision taken before bytes exist, as plain JSON.
 *
 * Nothing in a Plan is optional: what a profile leaves out was decided when the Plan was made. This file holds
 * types only and is free of `node:` imports, since the stick reads guest definitions too.
 */
import type { Bytes } from '../base/units.js'
import type { HardwareFirmware } from '../profile/profile.gen.js'

export type Firmware = 'bios' | 'uefi' | 'secureboot'
export type GuestFirmware = 'bios' | 'uefi' | 'uefi-secure'
export type Accelerator = 'kvm' | 'tcg'

// ---------------------------------------------------------------------------------------------- Lock

/** One Debian package, pinned. */
export interface LockedPackage {
  name: string
  version: string
  architecture: string
  sha256: string
  /** Size of the .deb. */
  size: Bytes
  /** Path below an archive's root, as the index has it (`Filename`). */
  filename: string
  /** The whole index stanza, so that a local archive can be written without network. */
  stanza: string
}

/** A set of packages that is resolved together: a tools tree, the host, or the tree of a guest. */
export interface PackageRequest {
  /** `tools.pack`, `tools.publish`, `tools.lab`, `tools.check`, `host`, or `guest.NAME`. */
  set: string
  suite: string
  /** Sorted names of the packages asked for; their dependencies come with them. */
  packages: string[]
  /** Component of the archive that they come from beside `main`, where they do. */
  component?: string
}

/** Every outside input, pinned. Written beside the profile as `PROFILE.lock.json`. */
export interface Lock {
  version: 1
  /** SOURCE_DATE_EPOCH of the build: seconds, the date of the newest package index used. */
  epoch: number
  /** Digest of the requests that the lock answers: a lock that does not fit its profile is refused. */
  requests: string
  /** The packages that were asked for, by the name of the set: what the lock answers. Empty in locks that do not say. */
  asked: PackageRequest[]
  /** Lines of sources.list(5) of each suite: where the packages were found, and where guests find theirs later. */
  sources: Record<string, string[]>
  /** Every package of any set, by `name_version_architecture`. */
  packages: Record<string, LockedPackage>
  /** Ids of the packages of each set, sorted. */
  sets: Record<string, string[]>
  /** Guest images that the profile names, by guest. */
  images: Record<string, { sha256: string; size: Bytes }>
}

// ---------------------------------------------------------------------------------------------- Plan

export interface Plan {
  version: 1
  name: string
  /** SOURCE_DATE_EPOCH, seconds. */
  epoch: number
  stick: StickPlan
  host: HostPlan
  network: GuestNetwork
  guests: GuestPlan[]
}

/** Sizes of the stick's partitions, as far as they can be known before bytes exist. */
export interface StickPlan {
  firmware: Firmware[]
  /** The smallest stick that the image must fit, its data partition included. */
  minimumSize: Bytes
  /** Where partitions begin and end. */
  alignment: Bytes
  biosBoot: Bytes
  esp: Bytes
  /** Size of root-a and of root-b, verity tree included. */
  rootSlot: Bytes
  /** Fixed size of the library, or its headroom in percent of what it holds. */
  library: { size: Bytes } | { headroomPercent: number }
  /** What the data partition needs at least on the smallest stick. */
  dataMinimum: Bytes
}

export interface HostPlan {
  suite: string
  hostname: string
  locale: string
  /** As keyboard(5) has them; two layouts with commas between. */
  keyboard: { layout: string; variant: string; options: string }
  timezone: string
  /** `password`: whether there is one; its hash is a secret (secrets.ts). */
  admin: { name: string; sshKeys: string[]; password: boolean }
  uplink: Uplink
  /** Bridge of which the PC's wired card is a port, and that has the uplink's address; null: none. */
  bridge: string | null
  /** Networks that are joined; their passphrases are secrets (secrets.ts). */
  wifi: { ssid: string }[]
  /** Names of firmware.ts, in the profile's order. */
  firmware: HardwareFirmware[]
  /** Every package asked for, the host's own among them, sorted. */
  packages: string[]
  files: PlannedFile[]
  /** Kernel arguments that do not depend on payloads. */
  kernelArguments: string[]
}

export type Uplink = { kind: 'dhcp' } | { kind: 'static'; address: string; gateway: string; dns: string[] }

/**
 * A network card: on the guests' network, which gives it an address of ours; or on the host's bridge, where the PC's
 * network gives it one.
 */
export type GuestNic =
  | { network: string; mac: string; address: string }
  | { bridge: string; mac: string; address: null }

/** A USB device by its ids, four hexadecimal digits each, in lower case. */
export interface UsbDevice {
  vendor: string
  product: string
}

/** A file of the user's that goes into a root. */
export interface PlannedFile {
  /** Absolute path on the builder. */
  source: string
  /** Absolute path in the root. */
  target: string
  /** Permission bits. */
  mode: number
  /** `user:group`, as names or numbers in the root. */
  owner: string
}

/** The NAT network that guests are on; its rules are nftables, written from this. */
export interface GuestNetwork {
  name: string
  bridge: string
  /** Such as `172.29.86.1`; the host's own address on it. */
  gateway: string
  prefix: number
  dhcp: { first: string; last: string }
}

/**
 * A guest as the stick knows it: read there from the library, and made into a libvirt domain. Nothing in it
 * depends on the machine of the day.
 */
export interface GuestDefinition {
  name: string
  uuid: string
  /** SMBIOS system serial. */
  serial: string
  /** Versioned machine type, such as `pc-q35-10.0`. */
  machine: string
  firmware: GuestFirmware
  cpus: { min: number; max: number }
  /** The most is a size, or a share of the PC's memory, which then may be below the least. */
  memory: { min: Bytes; max: Bytes | { percent: number } }
  /** The disk that has the base image behind it. */
  disk: { size: Bytes; serial: string }
  /** Empty disks beside it. */
  disks: { size: Bytes; serial: string }[]
  nics: GuestNic[]
  /** TCP ports of the stick that lead into the guest. */
  ports: { host: number; guest: number }[]
  /** USB devices of the PC that it gets, where they are there. */
  usb: UsbDevice[]
  /** Folders that it shares with the stick. The name is also the tag by which it mounts one. */
  shares: { name: string }[]
  /** Its place in the start order; null: not started by the stick. */
  autostart: number | null
  changes: 'keep' | 'discard'
  ready: Ready
}

export type Ready =
  | { kind: 'agent' }
  | { kind: 'none' }
  | { kind: 'tcp'; port: number }
  /** A JavaScript regular expression, looked for in the lines of the guest's first serial port. */
  | { kind: 'log'; pattern: string }

export interface GuestPlan extends GuestDefinition {
  source: GuestSource
}

export type GuestSource =
  | {
      kind: 'debian'
      suite: string
      /** Lines of the guest's own sources.list(5). */
      sources: string[]
      packages: string[]
      files: PlannedFile[]
      units: string[]
      size: Bytes
    }
  | { kind: 'image'; path: string; format: 'qcow2' | 'raw'; sha256: string; size: Bytes }

/** What the library carries for the stick to read, as `guests.json`. */
export interface LibraryIndex {
  version: 1
  name: string
  network: GuestNetwork
  guests: LibraryGuest[]
}

/** A guest whose base image is in the library. */
export interface LibraryGuest extends GuestDefinition {
  /** `size` is the virtual size; `file` is `SHA256.qcow2` beside the index. */
  base: { file: string; sha256: string; size: Bytes }
  /** Digest of the definition and the base, as the domain's metadata carries it. */
  definition: string
}

// ---------------------------------------------------------------------------------------------- Layout

/** The finished bytes of one partition, or of one file of it. */
export interface Payload {
  /** File in the store. */
  path: string
  sha256: string
  size: Bytes
  /** dm-verity root hash, where the payload carries a hash tree; else empty. */
  rootHash: string
  /** Offset of the verity tree from the payload's start; 0 where there is none. */
  hashOffset: Bytes
}
