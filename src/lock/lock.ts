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
import { limited, together } from '../base/parallel.js'
import { readUserText } from '../base/user-file.js'
import { checkWritable } from '../base/writable.js'
import { archiveSources, openApt, packageId, resolvePackages, withComponents } from '../debian/apt.js'
import type { LockedPackage, PackageRequest } from '../debian/types.js'
import type { ImageFormat } from '../disk/image.js'
import { fileDigest } from '../sources/base.js'
import { replaceFile } from '../store/store.js'
import type { Workplace } from '../store/workplace.js'
import { LOCK_VERSION, parseLock, requestDigest } from './parse.js'
import type { Lock } from './types.js'

export interface LockedFile {
  path: string
  format: ImageFormat
}

export interface LockRequest {
  packages: PackageRequest[]
  /** Where each file of a drive lies, by the name that the lock gives it. */
  files: Record<string, LockedFile>
  /** A Debian archive that the profile names. */
  mirror: string | undefined
}

function digestOf(request: LockRequest): string {
  return requestDigest(asked(request), Object.keys(request.files))
}

/** The guests' order is not asked. */
function asked({ packages }: LockRequest): PackageRequest[] {
  return packages.toSorted((a, b) => (a.set < b.set ? -1 : 1))
}

/** Whether a lock answers this profile's request: it does not where other packages or files were asked for. */
export function answers(lock: Lock, request: LockRequest): boolean {
  return lock.requests === digestOf(request)
}

/** Whether a lock answers what is asked of Debian, whatever files there are. */
export function answersPackages(lock: Lock, request: LockRequest): boolean {
  const text = (packages: PackageRequest[]) => canonicalJson(packages as unknown as Json)
  return text(lock.asked) === text(asked(request))
}

/** The same lock for other files: package versions stay, and nothing is asked of a mirror. */
export async function withFiles(lock: Lock, request: LockRequest, place: Workplace): Promise<Lock> {
  const files = await pinFiles(request.files, place)
  return { ...lock, version: LOCK_VERSION, requests: digestOf(request), files }
}

/** Digest and size of each file as it is now. */
export async function pinFiles(files: LockRequest['files'], place: Workplace): Promise<Lock['files']> {
  const pins: Lock['files'] = {}
  for (const [name, { path, format }] of Object.entries(files))
    pins[name] = await fileDigest(path, format, place)
  return pins
}

/** Reads a lock; undefined when there is none. Throws `lock-damaged`, `lock-newer`, `lock-unreadable`. */
export async function readLock(path: string): Promise<Lock | undefined> {
  const text = await readUserText(path).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === 'ENOENT') return undefined
    const message = `the lock ${path} cannot be read: ${errorWords(cause)}`
    throw new KeyvisorError('lock-unreadable', message, { hint: errorHint(cause), cause })
  })
  if (text === undefined) return undefined
  const lock = parseLock(text)
  if (typeof lock === 'number') throw newer(path, lock)
  if (!lock) {
    throw new KeyvisorError('lock-damaged', `the lock ${path} is damaged`, {
      hint: 'make it anew with --update',
    })
  }
  return lock
}

function newer(path: string, version: number): KeyvisorError {
  const message = `the lock ${path} is of version ${version}, and this Keyvisor reads up to version ${LOCK_VERSION}`
  return new KeyvisorError('lock-newer', message, {
    hint: 'take a newer Keyvisor, or make the lock anew with --update',
  })
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

/** Resolves every package set and reads every file. The network is used for package indexes. */
export async function makeLock(request: LockRequest, place: Workplace): Promise<Lock> {
  return place.store.inScratch('lock', async (scratch) => {
    const suites = [...new Set(request.packages.map((set) => set.suite))]
    // The files are read while apt waits for a mirror.
    const [files, answers] = await together([
      pinFiles(request.files, place),
      together(suites.map((suite) => lockSuite(request, suite, join(scratch, suite), place.signal))),
    ])
    const sets = new Map(answers.flatMap((answer) => answer.sets))
    const packages = request.packages.flatMap(({ set }) => sets.get(set) ?? [])
    return {
      version: LOCK_VERSION,
      epoch: Math.max(0, ...answers.map(({ epoch }) => epoch)),
      requests: digestOf(request),
      asked: asked(request),
      sources: Object.fromEntries(answers.map(({ suite, sources }) => [suite, sources])),
      packages: Object.fromEntries(packages.map((item) => [packageId(item), item])),
      sets: Object.fromEntries([...sets].map(([set, items]) => [set, items.map(packageId)])),
      files,
    }
  })
}

/** What a suite has for the sets that are asked of it. */
interface SuiteAnswer {
  suite: string
  /** Lines of sources.list(5). */
  sources: string[]
  epoch: number
  sets: [set: string, packages: LockedPackage[]][]
}

/** apt keeps a core busy with each. */
const PARALLEL = 2

async function lockSuite(
  request: LockRequest,
  suite: string,
  scratch: string,
  signal: AbortSignal | undefined,
): Promise<SuiteAnswer> {
  await mkdir(scratch)
  const sources = await archiveSources(suite, request.mirror)
  const asked = request.packages.filter((item) => item.suite === suite)
  const components = asked.flatMap(({ component }) => component ?? [])
  const apt = await openApt(withComponents(sources, components), join(scratch, 'apt'), signal)
  const slot = limited(PARALLEL)
  // Guests with the same packages are asked for once.
  const answers = new Map<string, Promise<LockedPackage[]>>()
  const sets = asked.map(async (set): Promise<[string, LockedPackage[]]> => {
    const question = set.packages.join(' ')
    const packages =
      answers.get(question) ?? slot(() => resolvePackages(apt, set, !set.set.startsWith('tools.')))
    answers.set(question, packages)
    return [set.set, await packages]
  })
  // Without the components that only the host asks for: guests find their packages where they always did.
  return { suite, sources, epoch: apt.epoch, sets: await together(sets) }
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
