/**
 * The boot: what the stick does once its host is up. Everything that can go wrong with one guest is said of that
 * guest and stops no other.
 */
import { formatBytes } from '../base/units.js'
import { LIBRARY_VERSION, type LibraryGuest, type LibraryIndex } from '../guest/definition.js'
import { nftRules } from '../guest/firewall.js'
import { type Placed, placeNetwork } from '../guest/network.js'
import { networkXml } from '../guest/network-xml.js'
import { domainPaths, LIBRARY } from '../guest/paths.js'
import { decodeEvent, doneEvent, type GuestEvent, heard, type ProblemEvent } from '../guest/report.js'
import { type Pc, type Sized, sizeGuests } from '../guest/sizing.js'
import { firstBanner } from './banner.js'
import { defineDomain } from './definition.js'
import { damagedDevices, readHost, readPc, uptime } from './facts.js'
import {
  awaitSign,
  ENOUGH,
  freeBytes,
  isRunning,
  prepareDisks,
  prepareShares,
  startDomain,
  virsh,
} from './guest.js'
import { readConfinement, readHardware } from './guest-process.js'
import { tellBooted } from './last-boot.js'
import { type Machine, must } from './machine.js'
import { openReport, type Report } from './report.js'
import { awaitUplink, readNetwork, takenSubnets } from './uplink.js'

/** What goes on when the boot is done. */
export interface Booted {
  report: Report
  /** Names of all guests. */
  guests: string[]
}

/** Runs to the end; every outcome is in the report. */
export function boot(machine: Machine): Booted {
  machine.run(['mkdir', '-p', '/run/keyvisor', '/run/issue.d', '/var/log/keyvisor'])
  const pc = readPc(machine)
  const index = readLibrary(machine)
  const name = index?.name ?? ''
  const report = openReport(machine, firstBanner(machine, name, index?.guests ?? []))
  report.tell(readHost(machine, name, pc))
  for (const earlier of initrdProblems(machine)) report.tell(earlier)
  const tellDamage = damageWatch(machine, report)
  tellDamage()
  if (!index) report.tell(problem('library', `${INDEX} cannot be read: ${unreadable(machine)}`))
  attempt(report, 'data', () => checkSpace(machine))
  const placed = index && connectGuests(machine, report, index)
  const outcomes = placed ? startGuests(machine, report, placed.guests, pc, tellDamage) : []
  if (placed) attempt(report, 'network', () => report.tell(readNetwork(machine, placed.network)))
  attempt(report, 'settings', () => tellBooted(machine, report.banner))
  report.tell(doneEvent(outcomes, uptime(machine)))
  return { report, guests: outcomes.map(({ name }) => name) }
}

const INDEX = `${LIBRARY}/guests.json`

function readLibrary(machine: Machine): LibraryIndex | undefined {
  const index = parseIndex(machine)
  return index?.version === LIBRARY_VERSION ? index : undefined
}

function parseIndex(machine: Machine): LibraryIndex | undefined {
  try {
    return JSON.parse(machine.readFile(INDEX) ?? '') as LibraryIndex
  } catch {
    return undefined
  }
}

/** A library and a host that were not built together. */
function unreadable(machine: Machine): string {
  const version = parseIndex(machine)?.version
  return version === undefined
    ? 'the library is missing or damaged'
    : `it is of version ${version}, and this host reads version ${LIBRARY_VERSION}`
}

/** What went wrong before the system started, as the initrd left it: lines of the report's own form. */
function initrdProblems(machine: Machine): ProblemEvent[] {
  const lines = (machine.readFile('/run/keyvisor/problems') ?? '').split('\n')
  return lines.map(decodeEvent).filter((event) => event?.event === 'problem')
}

function problem(code: ProblemEvent['code'], message: string): ProblemEvent {
  return { event: 'problem', code, message }
}

/** Tells of each device that verity found damaged, once. */
function damageWatch(machine: Machine, report: Report): () => void {
  const told = new Set<string>()
  return () => {
    for (const device of damagedDevices(machine)) {
      if (told.has(device)) continue
      told.add(device)
      report.tell(problem('verity', `verity: ${device} has a block that is not as it was built`))
    }
  }
}

/** A guest that writes to a full partition is paused, which is better known before one looks for why it does not start. */
function checkSpace(machine: Machine): void {
  const free = hasData(machine) ? freeBytes(machine) : ENOUGH
  if (free < ENOUGH)
    throw new Error(`the data partition is full (${formatBytes(free)} free): make space on /data`)
}

/** The guests' network and the firewall. What fails is told; guests without network may still be of use. */
function connectGuests(machine: Machine, report: Report, index: LibraryIndex): Placed<LibraryGuest> {
  let placed: Placed<LibraryGuest> = index
  attempt(report, 'network', () => {
    placed = placeGuests(machine, index)
  })
  const { network, guests } = placed
  attempt(report, 'firewall', () => {
    machine.writeFile('/run/keyvisor/rules.nft', nftRules(network, guests))
    must(machine, ['nft', '-f', '/run/keyvisor/rules.nft'])
  })
  // Made anew at each boot, never defined: what it is always comes from the library.
  attempt(report, 'network', () => {
    if (machine.exists(`/sys/class/net/${network.bridge}`)) return
    machine.writeFile('/run/keyvisor/network.xml', networkXml(network, guests))
    must(machine, virsh('net-create', '/run/keyvisor/network.xml'))
  })
  return placed
}

/** Where the guests' network lies in this boot; decided once, since guests that run keep their addresses. */
const PLACE = '/run/keyvisor/network.json'

function placeGuests(machine: Machine, { network, guests }: LibraryIndex): Placed<LibraryGuest> {
  const decided = machine.readFile(PLACE)
  if (decided === undefined) awaitUplink(machine)
  const taken: string[] = decided === undefined ? takenSubnets(machine, network) : JSON.parse(decided)
  const placed = placeNetwork(network, guests, taken)
  if (!placed)
    throw new Error(`the PC's network has every subnet that guests could have: ${taken.join(', ')}`)
  machine.writeFile(PLACE, JSON.stringify(taken))
  return placed
}

function attempt(report: Report, code: ProblemEvent['code'], action: () => void): void {
  try {
    action()
  } catch (error) {
    report.tell(problem(code, reasonOf(error)))
  }
}

/** One guest after the other: the next one starts when the one before is ready, or has failed. */
function startGuests(
  machine: Machine,
  report: Report,
  guests: readonly LibraryGuest[],
  pc: Pc,
  tellDamage: () => void,
): GuestEvent[] {
  return sizeGuests(guests, pc).map((sized) => {
    const guest = guests.find((other) => other.name === sized.name) as LibraryGuest
    const began = machine.now()
    if (sized.start) report.starting(guest.name)
    const { state, reason, note } = outcome(machine, guest, sized)
    const event: GuestEvent = {
      event: 'guest',
      name: guest.name,
      state,
      reason,
      accelerator: sized.accelerator,
      memory: sized.memory,
      cpus: sized.cpus,
      seconds: Math.round((machine.now() - began) / 100) / 10,
      confinement: readConfinement(machine, guest.name),
      hardware: readHardware(machine, guest.name),
      ...(sized.start ? heard(machine.readFile(domainPaths(guest).console) ?? '') : heard('')),
      note,
    }
    report.tell(event)
    tellDamage()
    return event
  })
}

type Outcome = Pick<GuestEvent, 'state' | 'reason' | 'note'>

/** What becomes of a guest. One that is not started is defined all the same, for somebody to start it. */
function outcome(machine: Machine, guest: LibraryGuest, sized: Sized): Outcome {
  let note = ''
  try {
    // A guest that runs already, since the host's unit was started again, is not to be disturbed.
    const running = isRunning(machine, guest)
    // Without it, what a guest writes would go to memory and be lost.
    if (!running && !hasData(machine)) throw new Error('the data partition is not mounted')
    if (!running) {
      prepareDisks(machine, guest)
      prepareShares(machine, guest)
      note = defineDomain(machine, guest, sized)
    }
    if (!sized.start) return { state: 'skipped', reason: sized.reason, note }
    if (!running) startDomain(machine, guest)
    awaitSign(machine, guest, sized.accelerator)
    if (guest.ready.kind === 'none') return { state: 'started', reason: 'started, not proven', note }
    return { state: 'ready', reason: '', note }
  } catch (error) {
    return { state: 'failed', reason: reasonOf(error), note }
  }
}

function hasData(machine: Machine): boolean {
  return machine.run(['mountpoint', '-q', '/data']).code === 0
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
