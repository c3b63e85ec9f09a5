/**
 * Fetching: how locked packages come into the store, from the archives that have them.
 */

import type { Sha256 } from '../base/digests.js'
import { KeyvisorError } from '../base/errors.js'
import { onDisk } from '../base/file-errors.js'
import { step } from '../base/progress.js'
import { debPath, fetchPackages, packageNames, parseSources } from '../debian/apt.js'
import type { Deb } from '../debian/tree.js'
import type { LockedPackage } from '../debian/types.js'
import type { Workplace } from '../store/workplace.js'
import type { Host } from '../yaml/profile.gen.js'
import { lockedSet } from './lock.js'
import type { Lock } from './types.js'

/**
 * Addresses of the archives in which locked packages are looked for, in this order: the mirror that the profile names
 * now, those where the lock found them, and the profile's snapshots.
 */
export function archivesOf(lock: Lock, host: Pick<Host, 'mirror' | 'snapshots'> = {}): string[] {
  const found = parseSources(Object.values(lock.sources).flat()).map(({ uri }) => uri)
  const all = [...(host.mirror ? [host.mirror] : []), ...found, ...(host.snapshots ?? [])]
  return [...new Set(all.map((uri) => uri.replace(/\/+$/, '')))]
}

/** Locked packages, and where they are looked for when the store lacks them. */
export interface DebSource {
  lock: Lock
  /** As {@link archivesOf} tells them. */
  archives: string[]
}

/**
 * Fetches the .debs of some sets where the store lacks them, all at once and before any work. Without network this
 * succeeds when the store has them. Throws `package-gone`, and `packages-missing` offline, each with all names.
 */
export async function fetchDebs(source: DebSource, sets: string[], place: Workplace): Promise<void> {
  const items = sets.flatMap((set) => lockedSet(source.lock, set))
  await fetchUnless(source, items, place, (item) => place.store.has(item.sha256, item.size))
}

/**
 * The .debs of some sets, each with the bytes that the lock names: apt is told to trust the archive that is made of
 * them. A damaged one is fetched again. Throws as {@link fetchDebs}.
 */
export async function lockedDebs(
  source: DebSource,
  sets: string[],
  place: Workplace,
): Promise<Record<string, Deb[]>> {
  const items = sets.flatMap((set) => lockedSet(source.lock, set))
  await fetchDamaged(source, items, place)
  const deb = (item: LockedPackage): Deb => ({ item, path: place.store.objectPath(item.sha256) })
  return Object.fromEntries(sets.map((set) => [set, lockedSet(source.lock, set).map(deb)]))
}

/** The same for single packages, of which the lock has those digests: their paths. */
export async function lockedPaths(
  source: DebSource,
  wanted: readonly { sha256: Sha256 }[],
  place: Workplace,
): Promise<string[]> {
  const digests = new Set(wanted.map(({ sha256 }) => sha256))
  const items = Object.values(source.lock.packages).filter(({ sha256 }) => digests.has(sha256))
  await fetchDamaged(source, items, place)
  return wanted.map(({ sha256 }) => place.store.objectPath(sha256))
}

function fetchDamaged(source: DebSource, items: LockedPackage[], place: Workplace): Promise<void> {
  return fetchUnless(
    source,
    items,
    place,
    async (item) => !!(await place.store.verified(item.sha256, item.size)),
  )
}

async function fetchUnless(
  { archives }: DebSource,
  items: LockedPackage[],
  place: Workplace,
  stored: (item: LockedPackage) => Promise<boolean>,
): Promise<void> {
  const missing: LockedPackage[] = []
  for (const item of new Map(items.map((item) => [item.sha256, item])).values())
    if (!(await stored(item))) missing.push(item)
  if (missing.length === 0) return
  if (place.offline) throw lacking(missing)
  await fetchMissing(missing, archives, place)
}

function lacking(missing: LockedPackage[]): KeyvisorError {
  const message = `the store lacks these locked packages, and nothing is fetched: ${packageNames(missing)}`
  return new KeyvisorError('packages-missing', message, {
    hint: 'build once without --offline, which fetches them',
  })
}

async function fetchMissing(missing: LockedPackage[], archives: string[], place: Workplace): Promise<void> {
  const stage = 'fetch'
  const title = `fetch ${missing.length} packages`
  const total = missing.reduce((sum, item) => sum + item.size, 0)
  const onFetched = (done: number) => place.progress({ kind: 'bytes', stage, done, total })
  const fetchInto = async (scratch: string) => {
    await fetchPackages(missing, archives, scratch, onFetched, place.signal)
    for (const item of missing) await place.store.add(debPath(scratch, item), item.sha256)
  }
  await step(place.progress, { stage, title }, () =>
    place.store.inScratch(stage, (scratch) => onDisk(title, () => fetchInto(scratch), scratch)),
  )
}
