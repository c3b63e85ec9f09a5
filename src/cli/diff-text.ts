/**
 * How two images differ, in words. Pure. Whoever prints this makes it safe first: names come from the images.
 */
import type { Difference, ImageDiff, Json } from '../index.js'
import { changeText, valueText } from './change-text.js'

/** Differences of one part that are shown; the rest is counted, and in `--json`. */
const SHOWN = 40

export function diffText({ a, b, same, differences, notes }: ImageDiff): string {
  if (same) return `${a} and ${b} are the same`
  const parts = new Map<string, Difference[]>()
  for (const item of differences) parts.set(item.part, [...(parts.get(item.part) ?? []), item])
  return [
    `${a} and ${b} differ`,
    ...[...parts].map(([part, all]) => partText(part, all)),
    ...(notes.length > 0 ? [['not looked into:', ...notes.map((note) => `  - ${note}`)].join('\n')] : []),
  ].join('\n\n')
}

/** For a sentence: where two images differ, the first few of it. */
export function differencePlaces({ differences }: Pick<ImageDiff, 'differences'>): string[] {
  const places = [...new Set(differences.map(({ part, item }) => [part, item].filter(Boolean).join(': ')))]
  return places.length > PLACES ? [...places.slice(0, PLACES), `and ${places.length - PLACES} more`] : places
}

const PLACES = 10

function partText(part: string, all: Difference[]): string {
  const shown = all.slice(0, SHOWN).map((item) => `  ${differenceText(item)}`)
  const more = all.length > SHOWN ? [`  and ${all.length - SHOWN} more: see --json`] : []
  return [part, ...shown, ...more].join('\n')
}

function differenceText({ item, field, a, b, at }: Difference): string {
  const named = (text: string) => [item, text].filter(Boolean).join(': ')
  if (field === 'bytes') return named(`differs from byte ${at} on${sizeWords(a, b)}`)
  if (field === 'time') return named(`time ${timeText(a)} -> ${timeText(b)}`)
  if (field !== '') return named(`${field} ${valueText(a)} -> ${valueText(b)}`)
  if (isFacts(a) || isFacts(b)) return named(a === null ? `only in the second` : `only in the first`)
  const path = item === '' ? [] : [item]
  const text = changeText({ path, ...(a === null ? {} : { before: a }), ...(b === null ? {} : { after: b }) })
  // Of two digests nobody wants to see more than that they are not one.
  return text === item ? `${item} differs` : text
}

function sizeWords(a: Json, b: Json): string {
  return a === b ? ` (${a} bytes)` : ` (${a} bytes, ${b} bytes)`
}

/** What a file is, where only one of the images has it. */
function isFacts(value: Json): boolean {
  return value !== null && typeof value === 'object' && !Array.isArray(value) && 'size' in value
}

function timeText(value: Json): string {
  return typeof value === 'number' ? new Date(value * 1000).toISOString() : String(value)
}
