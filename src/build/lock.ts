/**
 * The lock: every outside input pinned, and how the pinned packages come into the store.
 *
 * `build` writes `PROFILE.lock.json` when there is none, uses it when there is, and renews it when told to.
 */
import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { canonicalJson, type Json, sha256, sha256File } from '../base/digests.js'
import { onDisk } from '../base/disk-errors.js'
import { KeyvisorError } from '../base/errors.js'
import type { Progress } from '../base/progress.js'
import {
  archiveSources,
  debPath,
  fetchPackages,
  openApt,
  packageId,
  resolvePackages,
  withComponents,
} from '../debian/apt.js'
import { removeScratch } from '../debian/namespace.js'
import type { Deb } from '../debian/tree.js'
import type { Lock, LockedPackage, PackageRequest } from '../plan/types.js'
import { replaceFile, type Store } from './store.js'

/** A guest's outside image, by guest name. */
export type ImagePaths = Record<string, string>

export interface LockRequest {
  packages: PackageRequest[]
  images: ImagePaths
  /** A Debian archive that the profile names. */
  mirror: string | undefined
}

/** Digest of what a lock answers: with another profile it may answer something else. */
function requestDigest(request: LockRequest): string {
  const images = Object.keys(request.images).sort()
  return sha256(canonicalJson({ packages: request.packages, images } as unknown as Json))
}

/** Whether a lock answers this profile's request: it does not where other packages or images were asked for. */
export function answers(lock: Lock, request: LockRequest): boolean {
  return lock.requests === requestDigest(request)
}

/** Reads a lock; undefined when there is none. Throws `lock-damaged`. */
export async function readLock(path: string): Promise<Lock | undefined> {
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw new KeyvisorError('lock-damaged', `the lock ${path} cannot be read: ${error.message}`, {
      cause: error,
    })
  })
  if (text === undefined) return undefined
  const lock = parseLock(text)
  if (!lock) {
    throw new KeyvisorError('lock-damaged', `the lock ${path} is damaged`, {
      hint: 'make it anew with --update',
    })
  }
  return lock
}

function parseLock(text: string): Lock | undefined {
  try {
    const lock = JSON.parse(text) as Lock
    const whole =
      lock.version === 1 &&
      lock.packages &&
      lock.sources &&
      lock.sets &&
      lock.images &&
      Number.isInteger(lock.epoch)
    const known = whole && Object.values(lock.sets).every((ids) => ids.every((id) => lock.packages[id]))
    return known ? lock : undefined
  } catch {
    return undefined
  }
}

export async function writeLock(path: string, lock: Lock): Promise<void> {
  await replaceFile(path, `${JSON.stringify(lock, null, 1)}\n`)
}

/** Resolves every package set and reads every image. The network is used for package indexes. */
export async function makeLock(request: LockRequest, store: Store, signal?: AbortSignal): Promise<Lock> {
  const scratch = await store.scratch('lock')
  try {
    const lock: Lock = {
      version: 1,
      epoch: 0,
      requests: requestDigest(request),
      sources: {},
      packages: {},
      sets: {},
      images: {},
    }
    const suites = new Set(request.packages.map((set) => set.suite))
    for (const suite of suites) await lockSuite(lock, request, suite, join(scratch, suite), signal)
    for (const [guest, path] of Object.entries(request.images)) lock.images[guest] = await sha256File(path)
    return lock
  } finally {
    await removeScratch(scratch)
  }
}

async function lockSuite(
  lock: Lock,
  request: LockRequest,
  suite: string,
  scratch: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  await mkdir(scratch)
  const sources = await archiveSources(suite, request.mirror)
  const sets = request.packages.filter((item) => item.suite === suite)
  const components = sets.flatMap(({ component }) => component ?? [])
  const apt = await openApt(withComponents(sources, components), join(scratch, 'apt'), signal)
  // Without the components that only the host asks for: guests find their packages where they always did.
  lock.sources[suite] = sources
  lock.epoch = Math.max(lock.epoch, apt.epoch)
  // Guests with the same packages are asked for once.
  const answers = new Map<string, LockedPackage[]>()
  for (const set of sets) {
    const question = set.packages.join(' ')
    const packages = answers.get(question) ?? (await resolvePackages(apt, set, !set.set.startsWith('tools.')))
    answers.set(question, packages)
    for (const item of packages) lock.packages[packageId(item)] = item
    lock.sets[set.set] = packages.map(packageId)
  }
}

/** The packages of a set, in the lock's order. */
export function lockedSet(lock: Lock, set: string): LockedPackage[] {
  const ids = lock.sets[set]
  if (!ids) throw new Error(`BUG: the lock has no set ${set}`)
  return ids.map((id) => lock.packages[id] as LockedPackage)
}

/** One digest for everything in a set: a part of the keys of what is made from it. */
export function setDigest(lock: Lock, set: string): string {
  return sha256(
    lockedSet(lock, set)
      .map((item) => `${packageId(item)} ${item.sha256}\n`)
      .join(''),
  )
}

/** What fetching needs of a build. */
type FetchRun = { store: Store; progress: Progress; signal?: AbortSignal }

/**
 * Fetches the .debs of some sets where the store lacks them, all at once and before any work. Without network this
 * succeeds when the store has them. Throws `package-gone`, `mirror-unreachable`.
 */
export async function fetchDebs(lock: Lock, sets: string[], run: FetchRun): Promise<void> {
  await fetchUnless(lock, sets, run, (item) => run.store.has(item.sha256, item.size))
}

/**
 * The .debs of some sets, each with the bytes that the lock names: apt is told to trust the archive that is made of
 * them. A damaged one is fetched again. Throws as {@link fetchDebs}.
 */
export async function lockedDebs(lock: Lock, sets: string[], run: FetchRun): Promise<Record<string, Deb[]>> {
  await fetchUnless(lock, sets, run, async (item) => !!(await run.store.verified(item.sha256, item.size)))
  const deb = (item: LockedPackage): Deb => ({ item, path: run.store.objectPath(item.sha256) })
  return Object.fromEntries(sets.map((set) => [set, lockedSet(lock, set).map(deb)]))
}

async function fetchUnless(
  lock: Lock,
  sets: string[],
  run: FetchRun,
  stored: (item: LockedPackage) => Promise<boolean>,
): Promise<void> {
  const all = new Map(sets.flatMap((set) => lockedSet(lock, set)).map((item) => [item.sha256, item]))
  const missing: LockedPackage[] = []
  for (const item of all.values()) if (!(await stored(item))) missing.push(item)
  if (missing.length > 0) await fetchMissing(lock, missing, run)
}

async function fetchMissing(lock: Lock, missing: LockedPackage[], run: FetchRun): Promise<void> {
  const started = Date.now()
  const stage = 'fetch'
  const title = `fetch ${missing.length} packages`
  const total = missing.reduce((sum, item) => sum + item.size, 0)
  run.progress({ kind: 'start', stage, title })
  const scratch = await run.store.scratch(stage)
  const sources = Object.values(lock.sources).flat()
  const onFetched = (done: number) => run.progress({ kind: 'bytes', stage, done, total })
  try {
    await onDisk(title, async () => {
      await fetchPackages(missing, sources, scratch, onFetched, run.signal)
      for (const item of missing) await run.store.add(debPath(scratch, item), item.sha256)
    })
  } finally {
    await removeScratch(scratch)
  }
  run.progress({ kind: 'end', stage, seconds: (Date.now() - started) / 1000, reused: false })
}
