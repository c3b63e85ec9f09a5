/**
 * Valid parts: the few ways in which rules walk what the schema allows of a profile.
 */
import { type Bytes, parseBytes, parsePercent } from '../../base/units.js'
import { sourceParts } from '../../sources/sources.js'
import type { Finding } from '../../yaml/problems.js'
import {
  DEFAULTS,
  type Guest,
  type MemoryRange,
  type Profile,
  type RootFile,
} from '../../yaml/profile.gen.js'
import { entries, type Placed, type Sound } from '../../yaml/sound.js'

/** What is wrong across the fields of a profile, in any order. */
export type Rule = (profile: Sound<Profile>) => Iterable<Finding>

export function guestsOf(profile: Sound<Profile>): Placed<Sound<Guest>>[] {
  return entries(profile.guests, ['guests'])
}

/** Every list of files: the host's, and those of guests whose disk is built. */
export function fileLists(profile: Sound<Profile>): Placed<Sound<RootFile>>[][] {
  return [
    entries(profile.host?.files, ['host', 'files']),
    ...guestsOf(profile).map((guest) => sourceParts(guest).files),
  ]
}

/** Bytes of a size that the schema allowed; 0 for one that is not there. */
export function bytesOf(size: string | undefined): Bytes {
  return size === undefined ? 0 : (parseBytes(size) ?? 0)
}

export interface Range {
  min: number
  max: number
}

/** The range of a field that is one number or a range; undefined where a part of it is refused. */
export function rangeOf<T extends string | number>(
  field: T | { min?: T | undefined; max?: T | undefined } | undefined,
  measure: (value: T) => number,
): Range | undefined {
  if (field === undefined) return undefined
  if (typeof field !== 'object') return { min: measure(field), max: measure(field) }
  if (field.min === undefined || field.max === undefined) return undefined
  return { min: measure(field.min), max: measure(field.max) }
}

/**
 * The memory range of a guest; the default's where it says nothing. What a share comes to depends on the PC: as the most
 * it has no end here, and alone it has the default's least.
 */
export function memoryOf(guest: Sound<Guest>): Range | undefined {
  const usual = DEFAULTS.guest.memory as MemoryRange
  const field = 'memory' in guest ? guest.memory : usual
  const isShare = typeof field === 'string' && parsePercent(field) !== undefined
  return rangeOf(isShare ? { min: usual.min, max: field } : field, (text) =>
    parsePercent(text) === undefined ? bytesOf(text) : Number.POSITIVE_INFINITY,
  )
}
