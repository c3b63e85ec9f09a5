/**
 * Versions of Debian packages, as an image's own root or its manifest tells them.
 */
import type { Json } from '../base/digests.js'
import { type Bytes, MiB } from '../base/units.js'
import { type ComparedFile, changesOf, type Difference } from './compare.js'
import { member } from './inspect.js'

/** By package. */
type Versions = Record<string, Json>

/** dpkg's own list (dpkg-query(1)), in stanzas of deb822(5). */
const DPKG_STATUS = '/var/lib/dpkg/status'

/** Some 300 KiB on a host; more than this is not read. */
const MOST_STATUS: Bytes = 64 * MiB

/** The packages of a root by its files; undefined where it is no root of Debian. */
export async function rootVersions(files: readonly ComparedFile[]): Promise<Versions | undefined> {
  const status = files.find(({ path }) => path === DPKG_STATUS)
  if (!status?.read || status.size > MOST_STATUS) return undefined
  const text = (await status.read(0, status.size)).toString('utf8')
  const field = (stanza: string, name: string) => new RegExp(`^${name}: (.+)$`, 'm').exec(stanza)?.[1] ?? ''
  const stanzas = text.split(/\n\n+/).filter((stanza) => stanza.startsWith('Package: '))
  return Object.fromEntries(stanzas.map((stanza) => [field(stanza, 'Package'), field(stanza, 'Version')]))
}

/** The packages of the host and of each guest by a manifest: `the host`, `guest NAME`. */
function manifestVersions(manifest: Json): Map<string, Versions> {
  const packages = member(manifest, 'packages')
  const guests = member(packages, 'guests')
  const names = guests !== null && typeof guests === 'object' ? Object.keys(guests) : []
  const host = ['the host', versionsOf(member(packages, 'host'))] as const
  return new Map([host, ...names.map((name) => [`guest ${name}`, versionsOf(member(guests, name))] as const)])
}

function versionsOf(list: Json): Versions {
  if (!Array.isArray(list)) return {}
  return Object.fromEntries(
    list.map((item) => [String(member(item, 'name')), String(member(item, 'version'))]),
  )
}

/** Of what both have, and `only` where that is given. */
export function packageDifferences(a: Json, b: Json, only: RegExp = /^/): Difference[] {
  const [one, other] = [manifestVersions(a), manifestVersions(b)]
  return [...one].flatMap(([whose, versions]) => {
    const others = other.get(whose)
    return others && only.test(whose) ? changesOf(`packages of ${whose}`, versions, others) : []
  })
}
