/**
 * Comparing a lock: with what a profile asks now, and with the lock that was there before. Pure.
 *
 * Left out: what follows from a difference; that is `take-lock.ts`'s to say.
 */

import { type VersionChange, versionChange } from '../base/debian-versions.js'
import type { Problem } from '../base/errors.js'
import { lookUp } from '../base/lookup.js'
import type { LockedPackage, PackageRequest } from '../debian/types.js'
import { type LockRequest, lockedSet } from './lock.js'
import type { Lock } from './types.js'

// ------------------------------------------------------------------------------------ with a profile

/**
 * Everything in which a lock does not fit its profile, each under the set or file that it is about: `set-changed`, or
 * `image-changed` where an image has other bytes than the locked ones.
 *
 * @param pins the files as they are now
 * @param file the lock, as problems name it
 */
export function misfits(lock: Lock, request: LockRequest, pins: Lock['files'], file: string): Problem[] {
  const problem = (code: string, path: string, message: string): Problem => {
    return { code, severity: 'error', file, path, message }
  }
  const sets = unionOf(lock.asked.map(setOf), request.packages.map(setOf)).flatMap((set) => {
    const bySet = (item: PackageRequest) => item.set === set
    const words = requestWords(lock.asked.find(bySet), request.packages.find(bySet))
    return words.map((message) => problem('set-changed', set, message))
  })
  const files = unionOf(Object.keys(lock.files), Object.keys(pins)).flatMap((name) => {
    const locked = lookUp(lock.files, name)
    const now = lookUp(pins, name)
    if (!locked) return [problem('set-changed', name, 'its file is not locked')]
    if (!now) return [problem('set-changed', name, 'a file is locked, and the profile names none')]
    if (locked.sha256 === now.sha256) return []
    const message = `${request.files[name]?.path} has SHA-256 ${now.sha256}, the lock says ${locked.sha256}`
    return [problem('image-changed', name, message)]
  })
  return [...sets, ...files]
}

const setOf = ({ set }: PackageRequest) => set

function requestWords(locked: PackageRequest | undefined, asked: PackageRequest | undefined): string[] {
  if (!locked) return ['asked for, and not locked']
  if (!asked) return ['locked, and not asked for any more']
  const [from, to] = [archiveWords(locked), archiveWords(asked)]
  const list = (names: string[], words: string) => (names.length > 0 ? [`${words}: ${names.join(', ')}`] : [])
  return [
    ...(from === to ? [] : [`locked from ${from}, and asked from ${to}`]),
    ...(locked.architecture === asked.architecture
      ? []
      : [`locked for ${locked.architecture}, and asked for ${asked.architecture}`]),
    ...list(without(asked.packages, locked.packages), 'asked for, and not locked'),
    ...list(without(locked.packages, asked.packages), 'locked, and not asked for any more'),
  ]
}

function archiveWords({ suite, component }: PackageRequest): string {
  return component === undefined ? suite : `${suite} with ${component}`
}

function without(names: string[], others: string[]): string[] {
  return names.filter((name) => !others.includes(name))
}

// ------------------------------------------------------------------------------------ with the one before

export interface LockChanges {
  packages: PackageChange[]
  files: FileChange[]
}

export interface PackageChange {
  name: string
  /** `bytes`: the same version with another digest, which an archive should never have. */
  change: VersionChange | 'bytes'
  /** Versions; null where there was, or is, none. */
  from: string | null
  to: string | null
  /** The sets in which it changed so. */
  sets: string[]
}

export interface FileChange {
  /** `guest.NAME/disk0`. */
  name: string
  change: 'new' | 'gone' | 'bytes'
}

/** What a new lock changes, packages sorted by name. */
export function lockChanges(before: Lock, after: Lock): LockChanges {
  const packages = new Map<string, PackageChange>()
  for (const set of unionOf(Object.keys(before.sets), Object.keys(after.sets))) {
    for (const change of setChanges(before, after, set)) {
      const key = JSON.stringify([change.name, change.change, change.from, change.to])
      const known = packages.get(key)
      if (known) known.sets.push(set)
      else packages.set(key, { ...change, sets: [set] })
    }
  }
  const files = unionOf(Object.keys(before.files), Object.keys(after.files)).flatMap((name) => {
    const change = fileChange(lookUp(before.files, name)?.sha256, lookUp(after.files, name)?.sha256)
    return change ? [{ name, change }] : []
  })
  return { packages: [...packages.values()].sort((a, b) => (a.name < b.name ? -1 : 1)), files }
}

function setChanges(before: Lock, after: Lock, set: string): Omit<PackageChange, 'sets'>[] {
  const [old, now] = [before, after].map((lock) => packagesByName(lock, set)) as [ByName, ByName]
  return unionOf([...old.keys()], [...now.keys()]).flatMap((name) => {
    const [from, to] = [old.get(name), now.get(name)]
    const change = packageChange(from, to)
    return change ? [{ name, change, from: from?.version ?? null, to: to?.version ?? null }] : []
  })
}

type ByName = Map<string, LockedPackage>

function packagesByName(lock: Lock, set: string): ByName {
  const packages = lookUp(lock.sets, set) ? lockedSet(lock, set) : []
  return new Map(packages.map((item) => [item.name, item]))
}

function packageChange(
  from: LockedPackage | undefined,
  to: LockedPackage | undefined,
): PackageChange['change'] | undefined {
  const change = versionChange(from?.version, to?.version)
  return change ?? (from?.sha256 === to?.sha256 ? undefined : 'bytes')
}

function fileChange(from: string | undefined, to: string | undefined): FileChange['change'] | undefined {
  if (from === to) return undefined
  if (from === undefined) return 'new'
  return to === undefined ? 'gone' : 'bytes'
}

/** In the order of the first list, then the second's own. */
function unionOf(a: string[], b: string[]): string[] {
  return [...new Set([...a, ...b])]
}
