/**
 * What a walk proves beyond its boots: that a guest is the same on every PC, has of each what it should have, and keeps
 * what it should keep. Pure.
 *
 * Left out: whether a boot did well at all (`prove.ts`). What a guest that does not run fails is said there, and not
 * again here.
 */
import { formatBytes, formatCpus } from '../base/units.js'
import type { GuestEvent, Hardware, HostEvent, ReportEvent } from '../guest/report.js'
import type { Sized } from '../guest/sizing.js'
import type { VirtualPc } from '../pc/virtual-pc.js'
import type { ManifestGuest } from '../stick/manifest.js'
import { otherDisks } from './expected-disks.js'
import type { Check } from './prove.js'

/** What the stick reported on one PC. */
export interface Stop {
  /** The PC's name. */
  name: string
  events: readonly ReportEvent[]
}

/**
 * The checks of a stop: `pc` and `firmware`, and for each guest that runs there `size NAME`, `identity NAME` and `said NAME`.
 *
 * @param before the stops that were made before it, in their order
 * @param sized what the PC has for the guests
 */
export function judgeStop(
  stop: Stop,
  before: readonly Stop[],
  pc: Pick<VirtualPc, 'firmware' | 'memory' | 'cpus'>,
  guests: readonly ManifestGuest[],
  sized: readonly Sized[],
): Check[] {
  const host = stop.events.find(({ event }) => event === 'host') as HostEvent | undefined
  const ofGuests = guests.flatMap((guest) => {
    const told = runningGuest(stop, guest.name)
    const planned = sized.find(({ name }) => name === guest.name)
    if (!told || !planned) return []
    return [sizeCheck(told, planned), identityCheck(told, guest, before), saidCheck(told, guest, before)]
  })
  return [...(host ? [pcCheck(host, pc), firmwareCheck(host, pc)] : []), ...ofGuests]
}

function runningGuest({ events }: Stop, guest: string): GuestEvent | undefined {
  const told = events.findLast((event) => event.event === 'guest' && event.name === guest)
  return told?.event === 'guest' && ['ready', 'started'].includes(told.state) ? told : undefined
}

function check(name: string, passed: boolean, detail: string): Check {
  return { name, passed, detail }
}

function pcCheck(host: HostEvent, pc: Pick<VirtualPc, 'memory' | 'cpus'>): Check {
  const inWords = ({ memory, cpus }: typeof pc) => `${formatBytes(memory)} and ${formatCpus(cpus)}`
  const same = host.memory === pc.memory && host.cpus === pc.cpus
  return check('pc', same, same ? inWords(pc) : `the host found ${inWords(host)}, the PC has ${inWords(pc)}`)
}

/** That the stick was really started by what this PC starts it by. */
function firmwareCheck(host: HostEvent, { firmware }: Pick<VirtualPc, 'firmware'>): Check {
  const kind = firmware === 'bios' ? 'bios' : 'uefi'
  const passed = host.firmware === kind && (host.secureBoot === 'enabled') === (firmware === 'secureboot')
  return check('firmware', passed, `started by ${host.firmware}, Secure Boot ${host.secureBoot}`)
}

// ---------------------------------------------------------------------------------------------- size

type Size = Pick<Sized, 'memory' | 'cpus' | 'accelerator'>

/** By what its QEMU really has; and the stick must not say another thing. */
function sizeCheck({ name, hardware, ...told }: GuestEvent, planned: Size): Check {
  const wanted = sizeWords(planned)
  if (!hardware) return check(`size ${name}`, false, UNKNOWN_HARDWARE)
  const [has, said] = [sizeWords(hardware), sizeWords(told)]
  if (has !== wanted) return check(`size ${name}`, false, `planned are ${wanted}; its QEMU has ${has}`)
  const detail = said === wanted ? `${wanted}, as planned` : `it has ${wanted}; the stick says ${said}`
  return check(`size ${name}`, said === wanted, detail)
}

const UNKNOWN_HARDWARE = 'the stick did not say what its QEMU was started with'

function sizeWords({ memory, cpus, accelerator }: Size): string {
  return `${memory / 2 ** 20}MiB, ${formatCpus(cpus)}, ${accelerator.toUpperCase()}`
}

// ---------------------------------------------------------------------------------------------- identity

/** What a guest's system may remember, and a person may have registered. */
const IDENTITY = {
  uuid: 'UUID',
  macs: 'MAC addresses',
  serial: 'SMBIOS serial',
} as const satisfies Partial<Record<keyof Hardware, string>>

function identityCheck({ name, hardware }: GuestEvent, guest: ManifestGuest, before: readonly Stop[]): Check {
  const answer = (passed: boolean, detail: string) => check(`identity ${name}`, passed, detail)
  if (!hardware) return answer(false, UNKNOWN_HARDWARE)
  const { uuid } = guest
  if (hardware.uuid !== uuid) return answer(false, `its UUID is ${hardware.uuid}, and was built as ${uuid}`)
  if (hardware.serial === '') return answer(false, 'it has no SMBIOS serial')
  const others = otherDisks(hardware, guest)
  if (others) return answer(false, others)
  const first = before.find((stop) => runningGuest(stop, name)?.hardware)
  if (!first) return answer(true, `UUID ${uuid}`)
  const known = runningGuest(first, name)?.hardware as Hardware
  const changed = Object.entries(IDENTITY).flatMap(([key, words]) => {
    const [was, is] = [known, hardware].map((one) => `${one[key as keyof Hardware]}`)
    return was === is ? [] : [`${words}: ${was} on ${first.name}, ${is} here`]
  })
  return answer(changed.length === 0, changed.join('; ') || `the same as on ${first.name}`)
}

// ---------------------------------------------------------------------------------------------- what is kept

/** A guest that keeps its changes counts its starts; one that discards them always says the same. */
function saidCheck(told: GuestEvent, guest: ManifestGuest, before: readonly Stop[]): Check {
  const earlier = before.map((stop) => ({ ...startOn(stop, guest.name), on: stop.name }))
  const [passed, detail] =
    guest.changes === 'keep' ? countsOn(told.said, earlier) : repeats(told.said, earlier)
  return check(`said ${guest.name}`, passed, detail)
}

interface Earlier {
  /** Empty where nothing was heard of it. */
  said: string
  /** Whether it may have been started there. */
  started: boolean
  /** The PC's name. */
  on: string
}

/** Where the stick says nothing of a guest, since it or its PC broke down, the guest may have been started all the same. */
function startOn(stop: Stop, guest: string): Pick<Earlier, 'said' | 'started'> {
  const skipped = stop.events.some(
    (event) => event.event === 'guest' && event.name === guest && event.state === 'skipped',
  )
  return { said: runningGuest(stop, guest)?.said ?? '', started: !skipped }
}

/** One more than the last time; starts in between of which nothing was heard may have counted, too. */
function countsOn(said: string, earlier: readonly Earlier[]): [boolean, string] {
  const at = earlier.findLastIndex((one) => numberOf(one.said) !== undefined)
  const last = earlier[at]
  const [number, previous] = [numberOf(said), last && numberOf(last.said)]
  if (last === undefined || previous === undefined)
    return [true, number === undefined ? 'it says no number: not judged' : `"${said}"`]
  const unheard = earlier
    .slice(at + 1)
    .filter(({ started }) => started)
    .map(({ on }) => on)
  const more = (number ?? previous) - previous
  if (more === 1) return [true, `"${said}", one more than on ${last.on}`]
  const between = unheard.length > 0 ? `; nothing was heard of it on ${unheard.join(', ')}` : ''
  if (more > 1 && more <= 1 + unheard.length)
    return [true, `"${said}", ${more} more than on ${last.on}${between}`]
  return [false, `"${said}" is not one more than "${last.said}" on ${last.on}${between}`]
}

/** The number at the end, as in `start number 2`. */
function numberOf(said: string): number | undefined {
  const digits = /\d+$/.exec(said.trim())?.[0]
  return digits === undefined ? undefined : Number(digits)
}

function repeats(said: string, earlier: readonly Earlier[]): [boolean, string] {
  const first = earlier.find((one) => one.said !== '')
  if (!first) return [true, said === '' ? 'it says nothing: not judged' : `"${said}"`]
  if (said === first.said) return [true, `"${said}", as on ${first.on}`]
  return [false, `"${said}", and "${first.said}" on ${first.on}: it should have forgotten`]
}
