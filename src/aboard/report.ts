/**
 * The report's way out: every event goes to the report port, the journal and the serial console; the screen's
 * banner and a status file for people follow.
 */
import { encodeEvent, REPORT_PORT, type ReportEvent, SERIAL_PREFIX } from '../guest/report.js'
import { type Banner, bannerText, type GuestLine } from './banner.js'
import { architectureOf } from './facts.js'
import type { Machine } from './machine.js'
import { networkCards } from './uplink.js'

export interface Report {
  /** Tells an event to all. */
  tell(event: ReportEvent): void
  /** Shows that a guest is being started, which is no event. */
  starting(guest: string): void
  /** What was told so far. */
  banner: Readonly<Banner>
}

const ISSUE = '/run/issue.d/20-keyvisor.issue'
const STATUS = '/run/keyvisor/status.json'

/** Opens the report. `banner` is kept up to date, and shown, from here on. */
export function openReport(machine: Machine, banner: Banner): Report {
  const change = (guest: string, line: Partial<GuestLine>) => {
    const found = banner.guests.find((other) => other.name === guest)
    if (found) Object.assign(found, line)
  }
  return {
    banner,
    tell(event) {
      send(machine, encodeEvent(event))
      if (event.event === 'host') banner.host = event
      if (event.event === 'network') banner.addresses = event.addresses
      if (event.event === 'problem') banner.problems.push(event.message)
      if (event.event === 'data') banner.full = event.state === 'full' ? event.guests : []
      if (event.event === 'guest') change(event.name, { state: event.state, reason: event.reason, event })
      show(machine, banner)
    },
    starting(guest) {
      change(guest, { state: 'starting' })
      show(machine, banner)
    },
  }
}

/** What a boot told, for who comes later; undefined where none was shown. */
export function readBanner(machine: Machine): Banner | undefined {
  const text = machine.readFile(STATUS)
  return text === undefined ? undefined : (JSON.parse(text) as Banner)
}

/** The line break before it: a login prompt may stand on the console's line. */
function send(machine: Machine, line: string): void {
  machine.send(`/dev/virtio-ports/${REPORT_PORT}`, `${line}\n`)
  machine.send(`/dev/${architectureOf(machine).serial}`, `\n${SERIAL_PREFIX}${line}\n`)
  machine.print(line)
}

/** A banner that cannot be shown must not stop a guest. Cards come up while guests start, and some are plugged in later. */
function show(machine: Machine, banner: Banner): void {
  try {
    banner.cards = networkCards(machine)
    machine.writeFile(STATUS, `${JSON.stringify(banner, null, 2)}\n`)
    machine.writeFile(ISSUE, bannerText(banner))
    machine.run(['agetty', '--reload'])
  } catch (error) {
    machine.print(`the banner cannot be shown: ${error}`)
  }
}
