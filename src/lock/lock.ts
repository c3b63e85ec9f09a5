/**
 * The lock: every outside input pinned.
 *
 * Left out: when one is made (`choose.ts`), and how its packages come into the store (`fetch.ts`).
 */

import { mkdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { canonicalJson, type Json, sha256 } from '../base/digests.js'
import { KeyvisorError } from '../base/errors.js'
import { errorHint, errorWords } from '../base/file-errors.js'
import { lookUp } from '../base/lookup.js'
import { removeScratch } from '../base/namespace.js'
import { readUserText } from '../base/user-file.js'
import { checkWritable } from '../base/writable.js'
import { archiveSources, openApt, packageId, resolvePackages, withComponents } from '../debian/apt.js'
import type { LockedPackage, PackageRequest } from '../debian/types.js'
import { replaceFile, type Store } from '../store/store.js'
import { imageDigest } from '../store/unchanged.js'
import type { Lock } from './types.js'

/** A guest's outside image, by guest name. */
export type ImagePaths = Record<string, string>

export interface LockRequest {
  packages: PackageRequest[]
  images: ImagePaths
  /** A Debian archive that the profile names. */
  mirror: string | undefined
}

/** Digest of what a lock answers: with another profile it may answer something else. The guests' order is not asked. */
function requestDigest(request: LockRequest): string {
  const images = Object.keys(request.images).sort()
  return sha256(canonicalJson({ packages: asked(request), images } as unknown as Json))
}

function asked({ packages }: LockRequest): PackageRequest[] {
  return packages.toSorted((a, b) => (a.set < b.set ? -1 : 1))
}

/** Whether a lock answers this profile's request: it does not where other packages or images were asked for. */
export function answers(lock: Lock, request: LockRequest): boolean {
  return lock.requests === requestDigest(request)
}

/** Whether a lock answers what is asked of Debian, whatever images there are. */
export function answersPackages(lock: Lock, request: LockRequest): boolean {
  const text = (packages: PackageRequest[]) => canonicalJson(packages as unknown as Json)
  return text(lock.asked) === text(asked(request))
}

/** The same lock for other images: package versions stay, and nothing is asked of a mirror. */
export async function withImages(lock: Lock, request: LockRequest, store: Store): Promise<Lock> {
  const images = await pinImages(request.images, store)
  return { ...lock, requests: requestDigest(request), images }
}

/** Digest and size of each image as it is now. */
export async function pinImages(images: ImagePaths, store: Store): Promise<Lock['images']> {
  const pins: Lock['images'] = {}
  for (const [guest, path] of Object.entries(images)) pins[guest] = await imageDigest(path, store)
  return pins
}

/** Reads a lock; undefined when there is none. Throws `lock-damaged`, `lock-unreadable`. */
export async function readLock(path: string): Promise<Lock | undefined> {
  const text = await readUserText(path).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === 'ENOENT') return undefined
    const message = `the lock ${path} cannot be read: ${errorWords(cause)}`
    throw new KeyvisorError('lock-unreadable', message, { hint: errorHint(cause), cause })
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
    const known =
      whole && Object.values(lock.sets).every((ids) => ids.every((id) => lookUp(lock.packages, id)))
    return known ? { ...lock, asked: lock.asked ?? [] } : undefined
  } catch {
    return undefined
  }
}

/** Throws `lock-unwritable`. */
export async function writeLock(path: string, lock: Lock): Promise<void> {
  await replaceFile(path, `${JSON.stringify(lock, null, 1)}\n`).catch((cause) => {
    throw unwritable(path, cause)
  })
}

/** Before versions are chosen, which takes a while. Throws `lock-unwritable`. */
export async function checkLockFolder(path: string): Promise<void> {
  await checkWritable(dirname(path)).catch((cause) => {
    throw unwritable(path, cause)
  })
}

function unwritable(path: string, cause: NodeJS.ErrnoException): KeyvisorError {
  const folder = dirname(path)
  const why = cause.code === 'ENOENT' ? `there is no folder ${folder}` : errorWords(cause)
  return new KeyvisorError('lock-unwritable', `the lock ${path} cannot be written: ${why}`, {
    hint: `make ${folder} a folder that you may write, or name another place with --lock; or ${errorHint(cause)}`,
    cause,
  })
}

/** Resolves every package set and reads every image. The network is used for package indexes. */
export async function makeLock(request: LockRequest, store: Store, signal?: AbortSignal): Promise<Lock> {
  const scratch = await store.scratch('lock')
  try {
    const lock: Lock = {
      version: 1,
      epoch: 0,
      requests: requestDigest(request),
      asked: asked(request),
      sources: {},
      packages: {},
      sets: {},
      images: {},
    }
    const suites = new Set(request.packages.map((set) => set.suite))
    for (const suite of suites) await lockSuite(lock, request, suite, join(scratch, suite), signal)
    return { ...lock, images: await pinImages(request.images, store) }
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
  const ids = lookUp(lock.sets, set)
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
