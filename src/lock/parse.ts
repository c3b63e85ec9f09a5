/**
 * A lock's text, of this version or the one before, which knew one image a guest.
 */
import { ARCHITECTURES, USUAL_ARCHITECTURE } from '../arch/architecture.js'
import { canonicalJson, type Json, sha256 } from '../base/digests.js'
import { lookUp } from '../base/lookup.js'
import type { PackageRequest } from '../debian/types.js'
import type { Lock } from './types.js'

export const LOCK_VERSION = 2

/** Digest of what a lock answers: with another profile it may answer something else. */
export function requestDigest(asked: readonly PackageRequest[], files: readonly string[]): string {
  return sha256(canonicalJson({ packages: asked, files: files.toSorted() } as unknown as Json))
}

/** Undefined where the text is no lock; a number where it is a lock of that later version. */
export function parseLock(text: string): Lock | number | undefined {
  try {
    const lock = JSON.parse(text) as Lock | OldLock
    if (Number.isSafeInteger(lock.version) && lock.version > LOCK_VERSION) return lock.version
    const current = lock.version === 1 ? renewed(lock as OldLock) : (lock as Lock)
    return isWhole(current) ? current : undefined
  } catch {
    return undefined
  }
}

function isWhole(lock: Lock): boolean {
  const { version, packages, sources, sets, files, asked, epoch } = lock
  if (![1, LOCK_VERSION].includes(version) || !Number.isInteger(epoch)) return false
  if (!packages || !sources || !sets || !files || !Array.isArray(asked)) return false
  return Object.values(sets).every((ids) => ids.every((id) => lookUp(packages, id)))
}

/** A lock of version 1. */
interface OldLock extends Omit<Lock, 'version' | 'asked' | 'files'> {
  version: 1
  /** The first ones did not say. */
  asked?: Omit<PackageRequest, 'architecture'>[]
  /** By guest. */
  images: Lock['files']
}

/** The same lock in the form of today, for the only architecture that there was. Its version stays, so that it is known to be another text. */
function renewed({ images, asked = [], requests, ...rest }: OldLock): Lock {
  const old = sha256(
    canonicalJson({ packages: asked, images: Object.keys(images).sort() } as unknown as Json),
  )
  const { debian: architecture } = ARCHITECTURES[USUAL_ARCHITECTURE]
  const packages = asked.map((request): PackageRequest => ({ ...request, architecture }))
  const files = Object.fromEntries(
    Object.entries(images).map(([guest, pin]) => [`guest.${guest}/disk0`, pin]),
  )
  // One that somebody edited must not answer because of this.
  const answered = old === requests ? requestDigest(packages, Object.keys(files)) : requests
  return { ...rest, asked: packages, requests: answered, files }
}
