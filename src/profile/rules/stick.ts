/**
 * Rules about what must fit: on the smallest stick, and in the memory of the smallest PC.
 */
import { type Bytes, formatBytes, MiB } from '../../base/units.js'
import type { Finding, ProfilePath } from '../problems.js'
import { DEFAULTS, type Guest } from '../profile.gen.js'
import {
  bytesOf,
  debianOf,
  entries,
  guestsOf,
  memoryOf,
  type Placed,
  type Rule,
  type Sound,
} from './sound.js'

/** Memory that the host itself needs while guests run. */
export const HOST_RESERVE: Bytes = 512 * MiB

/** What is not in a partition of the user's: the GPT and alignment before, bios-boot, the backup GPT behind. */
const FIXED: Bytes = 3 * MiB

type StickSize = keyof typeof DEFAULTS.stick & ('minimumSize' | 'minimumMemory' | 'esp' | 'rootSlot')

/** A size of the stick, default or not; undefined where the schema refused it. */
export function stickBytes(
  stick: Sound<Record<StickSize, string>> | undefined,
  key: StickSize,
): Bytes | undefined {
  const size = stick && key in stick ? stick[key] : DEFAULTS.stick[key]
  return size === undefined ? undefined : bytesOf(size)
}

const partitions: Rule = function* ({ stick }) {
  const minimum = stickBytes(stick, 'minimumSize')
  if (minimum === undefined) return
  const slots = 2 * (stickBytes(stick, 'rootSlot') ?? 0)
  const fixed = FIXED + (stickBytes(stick, 'esp') ?? 0) + slots + bytesOf(stick?.library)
  if (fixed <= minimum) return
  const message = `the fixed partitions take ${formatBytes(fixed)}, the smallest stick has ${formatBytes(minimum)}`
  yield { code: 'stick-too-small', path: ['stick', 'minimumSize'], message }
}

/** A guest's disks, the one with the base image first. The size of a base that is an image is not known here. */
function disksOf({ value, path }: Placed<Sound<Guest>>): Placed<Bytes>[] {
  const debian = debianOf(value)
  const base = debian && ('size' in debian ? debian.size : DEFAULTS.debianTree.size)
  const first: Placed<Bytes> =
    value.disk === undefined
      ? { value: bytesOf(base), path: [...path, 'source', 'debian', 'size'] }
      : { value: bytesOf(value.disk), path: [...path, 'disk'] }
  const others = entries(value.disks, [...path, 'disks'])
  return [first, ...others.map((disk) => ({ value: bytesOf(disk.value.size), path: [...disk.path, 'size'] }))]
}

/** A guest that fills all its disks shall not run out of stick: the first disk that is too much is reported. */
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

const memory: Rule = function* (profile) {
  const minimum = stickBytes(profile.stick, 'minimumMemory')
  const started = guestsOf(profile).filter(({ value }) => value.autostart !== false)
  const least = started.reduce((sum, { value }) => sum + (memoryOf(value)?.min ?? 0), 0)
  if (minimum === undefined || HOST_RESERVE + least <= minimum) return
  const isWritten = profile.stick?.minimumMemory !== undefined
  const path: ProfilePath = isWritten || started.length === 0 ? ['stick', 'minimumMemory'] : ['guests']
  const needs = `host (${formatBytes(HOST_RESERVE)}) and autostart guests (${formatBytes(least)})`
  const message = `${needs} need more memory than the smallest PC has (${formatBytes(minimum)})`
  const hint = "lower the guests' least memory, or set stick.minimumMemory higher"
  yield { code: 'memory-too-small', path, message, hint }
}

export const stickRules: Rule[] = [partitions, disks, memory]
