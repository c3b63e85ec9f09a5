/**
 * What a guest is, as builder, stick and lab know it: plain JSON, in which nothing is optional.
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

/** What of a guest's virtual machine is the same on every PC. */
export interface GuestHardware {
  /** Versioned machine type, such as `pc-q35-10.0`. */
  machine: string
  firmware: GuestFirmware
  tpm: boolean
  /** Whether it is offered the interfaces of Hyper-V, for Windows. */
  hyperv: boolean
  /** What its clock shows at its start. */
  clock: 'utc' | 'localtime'
  /** `compatible`: such as systems without virtio drivers know. */
  devices: 'virtio' | 'compatible'
}

/**
 * A drive of a guest. `overlay`: what the guest writes goes to the stick's data, and what it did not write is read from the
 * base. `empty`: a disk that begins with nothing. `cdrom`: a CD that is never written to.
 */
export type Drive<Base> =
  | { kind: 'overlay'; base: Base; size: Bytes; serial: string }
  | { kind: 'empty'; size: Bytes; serial: string }
  | { kind: 'cdrom'; base: Base }

/**
 * A guest: read on the stick from the library, and made into a libvirt domain there. Nothing in it depends on the PC of
 * the day. `Base` is how a base is known: a stage of the plan, a file of the library, a digest.
 */
export interface Guest<Base> {
  name: string
  uuid: string
  /** SMBIOS system serial. */
  serial: string
  hardware: GuestHardware
  cpus: { min: number; max: number }
  /** The most is a size, or a share of the PC's memory, which then may be below the least. */
  memory: { min: Bytes; max: Bytes | { percent: number } }
  /** The first is the disk that it starts from. */
  drives: Drive<Base>[]
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

/** 2: a guest has drives and hardware; 1 knew one base image a guest. */
export const LIBRARY_VERSION = 2

/** What the library carries for the stick to read, as `guests.json`. */
export interface LibraryIndex {
  version: typeof LIBRARY_VERSION
  name: string
  network: GuestNetwork
  guests: LibraryGuest[]
}

/** A base beside the index: `file` is `SHA256.qcow2` or `SHA256.iso`. */
export interface LibraryFile {
  file: string
  sha256: string
  size: Bytes
}

/** A guest whose bases are in the library. */
export interface LibraryGuest extends Guest<LibraryFile> {
  /** Digest of the guest and its bases, as the domain's metadata carries it. */
  definition: string
}
