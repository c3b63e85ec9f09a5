/**
 * Rules about what a size must be a whole multiple of.
 *
 * Left out: the least and the most of a size (`stick.ts`), and memory, which is rounded on the PC of the day
 * (`guest/sizing.ts`).
 */
import { alignUp, type Bytes, formatSize, MiB, SECTOR } from '../../base/units.js'
import { drivesOf } from '../../sources/drives.js'
import { sourceParts } from '../../sources/sources.js'
import type { Finding } from '../../yaml/problems.js'
import type { Guest } from '../../yaml/profile.gen.js'
import type { Placed, Sound } from '../../yaml/sound.js'
import { bytesOf, guestsOf, type Rule } from './valid-parts.js'

interface Unit {
  bytes: Bytes
  words: string
}

/** Partitions begin at multiples of this, and mtools takes an ESP's size in KiB. */
const MIBS: Unit = { bytes: MiB, words: 'whole MiB' }

/** qemu-img would round up without a word: the guest's disk would not have the size that is written. */
const SECTORS: Unit = { bytes: SECTOR, words: `whole sectors of ${SECTOR} bytes` }

function* odd({ value, path }: Placed<string | undefined>, unit: Unit): Generator<Finding> {
  const bytes = bytesOf(value)
  if (bytes % unit.bytes === 0) return
  const above = alignUp(bytes, unit.bytes)
  const below = above - unit.bytes
  const nearest = [below, above].filter((size) => size > 0).map(formatSize)
  const message = `${value} is not a size in ${unit.words}`
  yield { code: 'odd-size', path, message, hint: `give ${nearest.join(' or ')}` }
}

const stick: Rule = function* ({ stick }) {
  for (const key of ['esp', 'rootSlot', 'library'] as const) {
    yield* odd({ value: stick?.[key], path: ['stick', key] }, MIBS)
  }
}

function* guestSizes(guest: Placed<Sound<Guest>>): Generator<Finding> {
  const { value, path } = guest
  const { size } = sourceParts(guest)
  if (size?.isGiven) yield* odd(size, MIBS)
  yield* odd({ value: value.disk, path: [...path, 'disk'] }, SECTORS)
  for (const disk of drivesOf(guest)) {
    yield* odd({ value: disk.value.size, path: [...disk.path, 'size'] }, SECTORS)
  }
}

const guests: Rule = (profile) => guestsOf(profile).flatMap((guest) => [...guestSizes(guest)])

export const sizeRules: Rule[] = [stick, guests]
