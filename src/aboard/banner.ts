/**
 * The banner above the login prompt, in the form that agetty(8) reads from issue files.
 */
import { formatBytes, formatCpus } from '../base/units.js'
import type { LibraryGuest } from '../guest/definition.js'
import type { GuestEvent, GuestState, HostEvent } from '../guest/report.js'
import type { Machine } from './machine.js'
import { networkCards } from './uplink.js'

export interface GuestLine {
  name: string
  state: GuestState | 'waiting' | 'starting'
  reason: string
  ports: { host: number; guest: number }[]
  /** Once its state is final. */
  event?: GuestEvent
}

/** All that the banner and the status file show. */
export interface Banner {
  name: string
  version: string
  /** Network cards of the PC, or the bridge that they are in. agetty puts their addresses in, and shows the banner anew when one changes. */
  cards: string[]
  admin: Admin
  host?: HostEvent
  /** As the network event has them; absent before it. */
  addresses?: string[]
  guests: GuestLine[]
  problems: string[]
  /** Guests that are paused because data is full. */
  full: string[]
}

/** The account that administers the host, and how one gets into it. */
interface Admin {
  name: string
  password: boolean
  key: boolean
}

/** The banner as it is before anything has started. */
export function firstBanner(machine: Machine, name: string, guests: readonly LibraryGuest[]): Banner {
  const release = machine.readFile('/etc/os-release') ?? ''
  return {
    name,
    version: /^IMAGE_VERSION="?([^"\n]*)/m.exec(release)?.[1] ?? '',
    cards: networkCards(machine),
    admin: readAdmin(machine),
    guests: guests.map((guest) => ({ name: guest.name, state: 'waiting', reason: '', ports: guest.ports })),
    problems: [],
    full: [],
  }
}

/** The first account that is a person's: useradd(8) gives it 1000. */
function readAdmin(machine: Machine): Admin {
  const [name, , , , , home] =
    machine
      .readFile('/etc/passwd')
      ?.split('\n')
      .map((line) => line.split(':'))
      .find((fields) => fields[2] === '1000') ?? []
  if (name === undefined) return { name: '', password: false, key: false }
  const shadow = machine.readFile('/etc/shadow')?.split('\n') ?? []
  return {
    name,
    password: shadow.some((line) => line.startsWith(`${name}:$`)),
    key: keyFiles(name, home).some((path) => (machine.readFile(path) ?? '').trim() !== ''),
  }
}

/** As sshd_config.d/keyvisor.conf has them: the profile's, the user's own, and that of a trial. */
function keyFiles(name: string, home: string | undefined): string[] {
  return [`/etc/ssh/authorized_keys/${name}`, `${home}/.ssh/authorized_keys`, `/run/keyvisor/ssh/${name}`]
}

export function bannerText(banner: Banner): string {
  const title = ['Keyvisor', banner.version, banner.name && `- ${banner.name}`].filter(Boolean).join(' ')
  const plain = { ...banner, problems: [...banner.problems, ...fullText(banner.full)] }
  const rows: Row[] = [
    ...bannerRows(plain, addresses(banner.cards), escaped),
    ...labelled('Log in', logIn(banner.admin).map(escaped)),
    ['Shut down', 'press the power button, or: sudo poweroff'],
  ]
  const lines = rows.map(([label, text]) => `  ${label.padEnd(10)} ${text}`.trimEnd())
  return `\n  ${escaped(title)}\n\n${lines.join('\n')}\n\n`
}

type Row = [label: string, text: string]

/**
 * What the stick found, and did.
 *
 * @param fit makes text fit for its reader; addresses are so already
 */
export function bannerRows(
  { host, guests, problems }: Pick<Banner, 'host' | 'guests' | 'problems'>,
  addresses: readonly string[],
  fit = (text: string) => text,
): Row[] {
  return [
    ...labelled('This PC', host ? [fit(pcText(host))] : []),
    ...labelled('Addresses', addresses),
    ...labelled('Guests', guests.map(guestText).map(fit)),
    ...labelled('Problems', problems.map(fit)),
  ]
}

/** The label stands before the first line only. */
function labelled(label: string, lines: readonly string[]): Row[] {
  return lines.map((line, index) => [index === 0 ? label : '', line])
}

/** `\4{card}` and `\6{card}` are agetty's. */
function addresses(cards: string[]): string[] {
  if (cards.length === 0) return ['none: this PC has no network card that the host knows']
  return cards.map((card) => `${card} \\4{${card}} \\6{${card}}`)
}

function pcText(host: HostEvent): string {
  const kvm =
    host.accelerator === 'kvm'
      ? 'hardware virtualization'
      : 'NO hardware virtualization: guests are slow (look for VT-x or SVM in the firmware settings)'
  return `${formatBytes(host.memory)} of memory, ${formatCpus(host.cpus)}, ${kvm}`
}

function guestText(guest: GuestLine): string {
  const ports = guest.ports.map((port) => `port ${port.host}`).join(', ')
  const notes = [guest.state === 'ready' ? ports : guest.reason, guest.event?.note].filter(Boolean)
  return `${guest.name}: ${guest.state}${notes.length > 0 ? ` (${notes.join('; ')})` : ''}`
}

function fullText(paused: string[]): string[] {
  if (paused.length === 0) return []
  const guests = paused.length === 1 ? `guest ${paused[0]} is` : `guests ${paused.join(', ')} are`
  return [`the stick is full: ${guests} paused, and will go on when there is space again on /data`]
}

function logIn(admin: Admin): string[] {
  const ways = [
    ...(admin.password ? [`here, as ${admin.name}`] : []),
    ...(admin.key ? [`ssh ${admin.name}@ADDRESS, with your key`] : []),
  ]
  return ways.length > 0 ? ways : ['nobody can: the profile has neither a key nor a password']
}

/** agetty takes a backslash for the start of an escape. */
function escaped(text: string): string {
  return text.replaceAll('\\', '\\\\')
}
