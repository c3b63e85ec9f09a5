/**
 * Names that the packages of the host know, and what a name was probably meant as that they do not know.
 *
 * The names themselves are made by scripts/names.js. Left out: accounts that a user's own packages make, which are known
 * only once these are installed.
 */

import { closest } from '../yaml/wording.js'
import * as lists from './names.gen.js'

const words = (text: string): string[] => text.trim().split(/\s+/)
const pairs = (text: string) =>
  new Map(words(text).map((word): [string, string] => word.split('=') as [string, string]))
const alike = (word: string, known: readonly string[]) =>
  known.find((one) => one.toLowerCase() === word.toLowerCase())
const given = (...found: (string | undefined)[]): string[] =>
  found.filter((one) => one !== undefined).slice(0, 1)

/** Users and groups of every host. */
export const USERS: ReadonlySet<string> = new Set(words(lists.USERS))
export const GROUPS: ReadonlySet<string> = new Set(words(lists.GROUPS))

// ------------------------------------------------------------------------------------------ time zones

const ZONES = words(lists.ZONES)
const OLD_ZONES = pairs(lists.OLD_ZONES)

export const isZone = (name: string): boolean => ZONES.includes(name)

/** The zone that was probably meant, as a list of one or none. */
export function zonesMeant(name: string): string[] {
  // POSIX counts west of Greenwich, where people count east: no zone is sure to be the one that was meant.
  if (/^(utc|gmt)?[+-]?[0-9]/i.test(name)) return []
  const old = alike(name, [...OLD_ZONES.keys()])
  const place = name.split('/').at(-1) ?? ''
  const samePlace = ZONES.filter((zone) => alike(place, [zone.split('/').at(-1) ?? '']))
  const near = closest(name, [...ZONES, ...OLD_ZONES.keys()])
  return given(
    alike(name, ZONES),
    old && OLD_ZONES.get(old),
    samePlace[0],
    near && (OLD_ZONES.get(near) ?? near),
  )
}

// ------------------------------------------------------------------------------------------ keyboards

interface Layout {
  name: string
  title: string
  variants: string[]
}

const LAYOUTS = lists.LAYOUTS.trim()
  .split('\n')
  .map((line): Layout => {
    const [name, title, variants] = line.split('|') as [string, string, string]
    return { name, title, variants: variants === '' ? [] : words(variants) }
  })
const LAYOUT_NAMES = LAYOUTS.map(({ name }) => name)
const LANGUAGES = pairs(lists.LANGUAGES)
const NOT_LATIN = new Set(words(lists.NOT_LATIN))

/** What people write who know the name from elsewhere; `uk` is the language Ukrainian, too. */
const OTHER_LAYOUTS: Record<string, string[]> = { en: ['us', 'gb'], english: ['us', 'gb'], uk: ['gb', 'ua'] }

export const isLayout = (name: string): boolean => LAYOUT_NAMES.includes(name)

/** Whether a keymap has Latin letters; without them nobody can type a user name. */
export function isLatin(layout: string, variant: string): boolean {
  return !NOT_LATIN.has(variant === '' ? layout : `${layout}(${variant})`)
}

/** The layouts that were probably meant, the likeliest first. */
export function layoutsMeant(name: string): string[] {
  const lower = name.toLowerCase()
  const other = Object.hasOwn(OTHER_LAYOUTS, lower) ? OTHER_LAYOUTS[lower] : undefined
  if (other) return other
  const titled = LAYOUTS.find(({ title }) => title.toLowerCase() === lower)
  return given(
    alike(name, LAYOUT_NAMES),
    LANGUAGES.get(lower),
    titled?.name,
    // `de-latin1` and `fr_CH` are names of other keymaps and of locales.
    alike(name.split(/[-_]/)[0] as string, LAYOUT_NAMES),
    name.length > 2 ? closest(name, LAYOUT_NAMES) : undefined,
  )
}

/** A layout that has this variant: us where it can be. */
export function layoutWith(variant: string): string | undefined {
  const all = LAYOUTS.filter(({ variants }) => variants.includes(variant))
  return (all.find(({ name }) => name === 'us') ?? all[0])?.name
}

export function variantsOf(layout: string): readonly string[] {
  return LAYOUTS.find(({ name }) => name === layout)?.variants ?? []
}

/** The variant that was probably meant, as a list of one or none. */
export function variantsMeant(layout: string, variant: string): string[] {
  return given(alike(variant, variantsOf(layout)), closest(variant, variantsOf(layout)))
}

// ------------------------------------------------------------------------------------------ locales

const LOCALES = ['C.UTF-8', ...words(lists.LOCALES)]

export const isLocale = (name: string): boolean => LOCALES.includes(name)

/** `de`, `de_DE`, `de_DE.utf8`, `de-de@euro`: as locale(7) names them, and near misses. */
const LOCALE_FORM = /^([a-z]{1,5})(?:[_-]([a-z]{2}))?(?:\.[\w-]+)?(@[a-z]+)?$/i

/** The locale that was probably meant, as a list of one or none. */
export function localesMeant(name: string): string[] {
  const match = LOCALE_FORM.exec(name)
  if (!match) return given(closest(name, LOCALES))
  const language = (match[1] as string).toLowerCase()
  if (language === 'c' || language === 'posix') return ['C.UTF-8']
  const upper = match[2]?.toUpperCase()
  const territory = upper === 'UK' ? 'GB' : upper
  const modifier = match[3]?.toLowerCase() ?? ''
  const own = LOCALES.filter((locale) => locale.startsWith(`${language}_`))
  const plain = (place: string) => [`${language}_${place}.UTF-8${modifier}`, `${language}_${place}.UTF-8`]
  const wanted = [...(territory ? plain(territory) : [`${language}.UTF-8`]), ...plain(language.toUpperCase())]
  const known = wanted.find(isLocale)
  return given(known, alike(`${language}_US.UTF-8`, own), own[0], closest(name, LOCALES))
}

// ------------------------------------------------------------------------------------------ machine types

const MACHINES = words(lists.MACHINES)

export const isMachine = (name: string): boolean => MACHINES.includes(name)

/** Negative where a version is the older one: 2.9 comes before 2.12, and 4.0 before 4.0.1. */
function compareVersions(machine: string, other: string): number {
  const numbers = (name: string) => (name.split('-').at(-1) ?? '').split('.').map(Number)
  const others = numbers(other)
  const [major = 0, minor = 0, patch = 0] = numbers(machine).map((number, at) => number - (others[at] ?? 0))
  return major || minor || patch
}

/** The newest type of its kind that is older, else the oldest that there is. */
export function machinesMeant(name: string): string[] {
  const kind = name.replace(/[^-]*$/, '')
  const known = MACHINES.filter((machine) => machine.startsWith(kind)).toSorted(compareVersions)
  return given(known.findLast((machine) => compareVersions(machine, name) < 0) ?? known[0])
}
