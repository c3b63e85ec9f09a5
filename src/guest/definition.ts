/**
 * What a guest is, as builder, stick and lab know it: plain JSON, in which nothing is optional.
 *
 * Types only.
 */
import type { Bytes } from '../base/units.js'

type GuestFirmware = 'bios' | 'uefi' | 'uefi-secure'

export type Accelerator = 'kvm' | 'tcg'

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
