/**
 * The boot report: what the host on the stick says about its start, one JSON object a line.
 *
 * Free of `node:` imports: the stick writes it under qjs, the lab reads it. Its definition for others is
 * `schemas/boot-report.schema.json`; a test holds the two together.
 * Left out: where the lines go (`aboard/`), and what they must say for a boot to pass (`lab/`).
 */
import type { Bytes } from '../base/units.js'
import type { Accelerator } from './definition.js'

/** Before each line on a serial console, so that a reader finds it among the kernel's and a login's lines. */
export const SERIAL_PREFIX = 'KEYVISOR '

/** What GRUB says on the screen and the serial console before it reads the kernel. */
export const LOADING_PREFIX = 'keyvisor: loading '

/** The virtio-serial port that takes the report. */
export const REPORT_PORT = 'org.keyvisor.report.0'

/** What a guest's line on its first serial port begins with, if the report is to carry it. */
const SAID_PREFIX = 'keyvisor: '

/** 2: slots, and an architecture; 1 had no version. */
export const REPORT_VERSION = 2

/** The host is up. The first event. */
export interface HostEvent {
  event: 'host'
  version: typeof REPORT_VERSION
  /** The profile's name. Empty when the library could not be read. */
  name: string
  firmware: 'bios' | 'uefi'
  secureBoot: 'enabled' | 'disabled' | 'unsupported'
  accelerator: Accelerator
  memory: Bytes
  /** Logical CPUs. */
  cpus: number
  /** What the host was built for, by Debian's name. */
  architecture: string
  /** Slot of the host that was started. */
  slot: 'a' | 'b'
  /** dm-verity root hash of the host in each slot; null where the stick knows of none. */
  slots: Record<'a' | 'b', string | null>
  /** Since the kernel started, which is as near to power-on as the host can tell. */
  seconds: number
}

/**
 * `ready`: the guest itself gave the sign that the profile names. `started`: it runs, and the profile asks for no
 * sign. `failed`: it did not start, ended early, or gave no sign in time. `skipped`: the stick did not start it.
 */
export type GuestState = 'ready' | 'started' | 'failed' | 'skipped'

/** What holds a guest's QEMU. */
export interface Confinement {
  /** Name of the account that it runs as. */
  user: string
  /** Its AppArmor profile and that profile's mode, such as `libvirt-UUID (enforce)`. */
  apparmor: string
  /** Whether a seccomp filter is in force (proc_pid_status(5), `Seccomp`). */
  seccomp: boolean
}

/** What a guest's system sees of its hardware, as its QEMU was started with: not what the stick meant to give it. */
export interface Hardware {
  uuid: string
  /** SMBIOS serial number of the system. */
  serial: string
  /** Of its network cards. */
  macs: string[]
  /** Of its disks. */
  diskSerials: string[]
  memory: Bytes
  /** Virtual CPUs that are plugged in. */
  cpus: number
  accelerator: Accelerator
}

/** What became of one guest. Each guest of the library has exactly one. */
export interface GuestEvent {
  event: 'guest'
  name: string
  state: GuestState
  /** Why, in words for a person; empty when it is ready. */
  reason: string
  accelerator: Accelerator
  memory: Bytes
  cpus: number
  /** From its start until this state. */
  seconds: number
  /** The latest line of its first serial port that begins with `keyvisor: `, without that; else empty. */
  said: string
  /** What its kernel printed after `Hypervisor detected: `; empty when it printed none. */
  hypervisor: string
  /** What a person should know of it although it runs, such as a definition that was kept; else empty. */
  note: string
  /** Null when it does not run. */
  confinement: Confinement | null
  /** Null when it does not run. */
  hardware: Hardware | null
}

/** A socket that takes connections or datagrams. What reaches it from outside, the firewall decides. */
export interface Listens {
  protocol: 'tcp' | 'udp'
  /** As ss(8) prints it: `0.0.0.0`, `[::]`, `127.0.0.53%lo`. */
  address: string
  port: number
}

/** The stick on the PC's network, once all guests have been dealt with. */
export interface NetworkEvent {
  event: 'network'
  /** Of the PC's cards: `enp1s0 192.0.2.7/24`. */
  addresses: string[]
  /** The host's address on the guests' network, and its prefix: not the profile's where the PC's network has that. */
  subnet: string
  listens: Listens[]
}

/** Something is wrong with the stick as a whole. */
export interface ProblemEvent {
  event: 'problem'
  /** Stable name. The second line's end the boot. */
  code:
    | ('verity' | 'library' | 'data' | 'settings' | 'network' | 'firewall')
    | ('no-identity' | 'no-stick' | 'two-sticks' | 'root' | 'overlay')
  message: string
}

/**
 * The data partition is full, and guests are paused until there is space; or there is space again, and they go on.
 * The one event that may come after `done`.
 */
export interface DataEvent {
  event: 'data'
  state: 'full' | 'free'
  /** What guests can still write. */
  free: Bytes
  /** Those that are paused, or were. */
  guests: string[]
}

/** Every guest has been dealt with. */
export interface DoneEvent {
  event: 'done'
  /** Since the kernel started. */
  seconds: number
  /** How many guests are in each state. */
  guests: Record<GuestState, number>
}

export type ReportEvent = HostEvent | GuestEvent | NetworkEvent | ProblemEvent | DataEvent | DoneEvent

/** One line of the report, without its line break. ASCII only: serial lines know no other. */
export function encodeEvent(event: ReportEvent): string {
  return JSON.stringify(event).replace(
    /[\u007f-\uffff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}

/**
 * Finds an event in a line of a console or of the port. Whatever stands before {@link SERIAL_PREFIX} is
 * passed over; a line without it is read as the port has it.
 *
 * @returns undefined for any other line; the event's members are not checked
 */
export function decodeEvent(line: string): ReportEvent | undefined {
  const at = line.indexOf(SERIAL_PREFIX)
  const text = at < 0 ? line : line.slice(at + SERIAL_PREFIX.length)
  if (!text.startsWith('{"event":"')) return undefined
  try {
    return JSON.parse(text) as ReportEvent
  } catch {
    return undefined
  }
}

/** The last event: counts what became of the guests. */
export function doneEvent(guests: readonly GuestEvent[], seconds: number): DoneEvent {
  const count = (state: GuestState) => guests.filter((guest) => guest.state === state).length
  return {
    event: 'done',
    seconds,
    guests: {
      ready: count('ready'),
      started: count('started'),
      failed: count('failed'),
      skipped: count('skipped'),
    },
  }
}

/** What the report carries of a guest's first serial port. */
export function heard(consoleText: string): Pick<GuestEvent, 'said' | 'hypervisor'> {
  const lines = consoleLines(consoleText)
  const said = lines.findLast((line) => line.startsWith(SAID_PREFIX)) ?? SAID_PREFIX
  const detected = lines.findLast((line) => line.includes(DETECTED)) ?? DETECTED
  return {
    said: said.slice(SAID_PREFIX.length),
    hypervisor: detected.slice(detected.indexOf(DETECTED) + DETECTED.length),
  }
}

const DETECTED = 'Hypervisor detected: '

/** The finished lines of a console, without terminal control sequences (ECMA-48, section 5.4). */
export function consoleLines(text: string): string[] {
  const plain = text.replace(CONTROL, '').split('\n')
  // What stands behind the last line break is still being written.
  return plain.slice(0, -1).map((line) => line.trim())
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: control sequences are what it takes out
const CONTROL = /\x1b\[[0-?]*[ -/]*[@-~]|\x1b[@-Z\\-_]|\r/g
