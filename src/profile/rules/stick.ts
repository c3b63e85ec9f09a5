/**
 * Rules about what must fit: on the smallest stick, in the memory of the smallest PC, and on the guests' network.
 */
import { type Bytes, formatBytes } from '../../base/units.js'
import { hostReserve, sizeGuests, startOrder, type Wanting } from '../../guest/sizing.js'
import { drivesOf } from '../../sources/drives.js'
import { sourceParts } from '../../sources/sources.js'
import {
  LEAST_ESP,
  LEAST_ESP_WITH_MICROCODE,
  LEAST_GUEST_DISK,
  LEAST_ROOT_SLOT,
  leastStick,
  MOST_CARDS,
} from '../../stick/limits.js'
import type { Finding, ProfilePath } from '../../yaml/problems.js'
import { DEFAULTS, type Guest, type Profile } from '../../yaml/profile.gen.js'
import type { Placed, Sound } from '../../yaml/sound.js'
import { bytesOf, guestsOf, memoryOf, type Rule } from './valid-parts.js'

type StickSize = keyof typeof DEFAULTS.stick & ('minimumSize' | 'minimumMemory' | 'esp' | 'rootSlot')

/** A size of the stick, default or not; undefined where the schema refused it. */
export function stickBytes(
  stick: Sound<Record<StickSize, string>> | undefined,
  key: StickSize,
): Bytes | undefined {
  const size = stick && key in stick ? stick[key] : DEFAULTS.stick[key]
  return size === undefined ? undefined : bytesOf(size)
}

/** That the partitions do not fit, with a library of at least so many bytes; undefined when they do. */
export function stickFinding({ stick }: Sound<Profile>, library: Bytes): Finding | undefined {
  const minimum = stickBytes(stick, 'minimumSize')
  if (minimum === undefined) return undefined
  const [esp, rootSlot] = [stickBytes(stick, 'esp') ?? 0, stickBytes(stick, 'rootSlot') ?? 0]
  const least = leastStick({ esp, rootSlot, library })
  if (least <= minimum) return undefined
  const message = `the partitions take at least ${exactly(least)}, the smallest stick has ${exactly(minimum)}`
  const hint = 'raise stick.minimumSize, or make what is on the stick smaller'
  return { code: 'stick-too-small', path: ['stick', 'minimumSize'], message, hint }
}

/** Two sizes that differ must not look alike. */
function exactly(bytes: Bytes): string {
  const short = formatBytes(bytes)
  return bytesOf(short) === bytes ? short : `${short} (${bytes} bytes)`
}

const partitions: Rule = function* (profile) {
  const finding = stickFinding(profile, bytesOf(profile.stick?.library))
  if (finding) yield finding
}

/** A guest's disks, the one with the base first. The size of a base that is not built is not known here. */
function disksOf(guest: Placed<Sound<Guest>>): Placed<Bytes>[] {
  const { value, path } = guest
  const base = sourceParts(guest).size
  const first: Placed<Bytes> =
    value.disk === undefined
      ? { value: bytesOf(base?.value), path: base?.path ?? path }
      : { value: bytesOf(value.disk), path: [...path, 'disk'] }
  return [
    first,
    ...drivesOf(guest).map((disk) => ({ value: bytesOf(disk.value.size), path: [...disk.path, 'size'] })),
  ]
}

/** A guest that fills all its disks must not run out of stick: the first disk that is too much is reported. */
const disks: Rule = (profile) => {
  const minimum = stickBytes(profile.stick, 'minimumSize')
  if (minimum === undefined) return []
  return guestsOf(profile).flatMap((guest): Finding[] => {
    let sum = 0
    const tooMuch = disksOf(guest).find((disk) => {
      sum += disk.value
      return sum > minimum
    })
    if (!tooMuch) return []
    const has = `the smallest stick has ${formatBytes(minimum)}`
    const message = `with this disk the guest's come to ${formatBytes(sum)}; ${has}`
    const hint = 'make the disk smaller, or stick.minimumSize larger'
    return [{ code: 'disk-larger-than-stick', path: tooMuch.path, message, hint }]
  })
}

/** A size of the profile's own that has a least; the default of each is above it. */
interface Least {
  of: string
  size: string | undefined
  path: ProfilePath
  least: Bytes
}

const leasts: Rule = (profile) => {
  const { esp, rootSlot } = profile.stick ?? {}
  const { firmware } = profile.host && 'firmware' in profile.host ? profile.host : DEFAULTS.host
  const leastEsp = firmware?.some((one) => one === 'microcode') ? LEAST_ESP_WITH_MICROCODE : LEAST_ESP
  const guests = guestsOf(profile).flatMap((guest): Least[] => {
    const { size } = sourceParts(guest)
    if (!size?.isGiven) return []
    return [{ of: "a guest's disk", size: size.value, path: size.path, least: LEAST_GUEST_DISK }]
  })
  const stick: Least[] = [
    { of: 'the ESP', size: esp, path: ['stick', 'esp'], least: leastEsp },
    { of: 'a root slot', size: rootSlot, path: ['stick', 'rootSlot'], least: LEAST_ROOT_SLOT },
  ]
  return [...stick, ...guests].flatMap(({ of, size, path, least }): Finding[] => {
    if (size === undefined || bytesOf(size) >= least) return []
    const message = `${of} cannot have ${size}: what must be in it takes more, the least is ${formatBytes(least)}`
    return [{ code: 'below-least', path, message, hint: 'raise it, or leave it out for the default' }]
  })
}

/** What sizing asks of a guest; CPUs of the smallest PC are not in a profile. */
function wantingOf({ value, path }: Placed<Sound<Guest>>): Wanting[] {
  const range = memoryOf(value)
  const index = Number(path.at(-1))
  if (!range) return []
  const cpus = { min: 1, max: 1 }
  const memory = { min: range.min, max: range.min }
  return [{ name: value.name ?? '', autostart: startOrder(value.autostart, index), cpus, memory }]
}

/** Why the smallest PC does not do what it must: asked of the code that the stick itself asks. Empty when it does. */
function shortage(profile: Sound<Profile>, minimum: Bytes): string {
  const wanting = guestsOf(profile).flatMap(wantingOf)
  const started = wanting.filter(({ autostart }) => autostart !== null)
  const left = sizeGuests(started, { memory: minimum, cpus: 1, kvm: true }).find(({ start }) => !start)
  if (left) return `guest ${left.name} does not start on a PC of ${formatBytes(minimum)}: it ${left.reason}`
  const host = hostReserve(minimum)
  return host > minimum ? `the host alone needs ${formatBytes(host)} of memory` : ''
}

const memory: Rule = function* (profile) {
  const minimum = stickBytes(profile.stick, 'minimumMemory')
  const message = minimum === undefined ? '' : shortage(profile, minimum)
  if (message === '') return
  const path: ProfilePath =
    profile.stick?.minimumMemory === undefined ? ['guests'] : ['stick', 'minimumMemory']
  const hint = "lower the guests' least memory, or set stick.minimumMemory higher"
  yield { code: 'memory-too-small', path, message, hint }
}

/** Each card has an address, one on the bridge too: the first guest whose cards are too many is reported. */
const cards: Rule = (profile) => {
  let sum = 0
  const tooMuch = guestsOf(profile).find(({ value }) => {
    sum += ('nics' in value ? value.nics?.length : DEFAULTS.guest.nics.length) ?? 0
    return sum > MOST_CARDS
  })
  if (!tooMuch) return []
  const path = 'nics' in tooMuch.value ? [...tooMuch.path, 'nics'] : tooMuch.path
  const message = `with this guest there are ${sum} network cards, the guests' network has ${MOST_CARDS} addresses`
  return [{ code: 'too-many-nics', path, message, hint: 'leave out network cards or guests' }]
}

export const stickRules: Rule[] = [partitions, disks, leasts, memory, cards]
