/**
 * A lock without a build: what `keyvisor lock` does and tells.
 */

import type { KeyvisorError, Problem } from '../base/errors.js'
import type { Bytes } from '../base/units.js'
import { lockProblems, makeLockFile } from '../lock/choose.js'
import { type LockChanges, lockChanges } from '../lock/compare.js'
import { lockedSet, readLock } from '../lock/lock.js'
import { LOCK_VERSION } from '../lock/parse.js'
import type { Lock } from '../lock/types.js'
import { loadProfile } from '../profile/load.js'
import type { Workplace } from '../store/workplace.js'
import { lockQuestion } from './prepare.js'

export interface LockProfileRequest {
  /** Path of the profile. */
  profile: string
  /** Path of the lock; beside the profile unless told. */
  lock?: string
  /** Choose versions anew also where the lock answers the profile. */
  update?: boolean
}

export interface LockReport {
  /** As the user named it. */
  profile: string
  /** `made`: written now; else it answered the profile, and is as it was. */
  lock: { path: string; made: boolean }
  /** SOURCE_DATE_EPOCH, seconds: the date of the newest package index. */
  epoch: number
  sets: LockedSet[]
  files: { name: string; sha256: string; size: Bytes }[]
  /** Against the lock that was there; null where there was none that could be read. */
  changes: LockChanges | null
  warnings: Problem[]
}

export interface LockedSet {
  /** `tools.pack`, `host`, or `guest.NAME`. */
  set: string
  packages: number
  /** Of the .debs together. */
  size: Bytes
}

/** Makes a profile's lock where it is missing, does not fit, or is to be new. Throws as `prepare` does. */
export async function lockProfile(request: LockProfileRequest, place: Workplace): Promise<LockReport> {
  const { profile, warnings } = await loadProfile(request.profile)
  const question = lockQuestion(request, profile)
  const before = await lockBefore(question.path, request.update === true)
  const fits = before !== undefined && (await lockProblems(before, question, place)).length === 0
  const made = request.update === true || !fits || before.version !== LOCK_VERSION
  const lock = made ? await makeLockFile(question, request.update ? undefined : before, place) : before
  return {
    profile: request.profile,
    lock: { path: question.path, made },
    epoch: lock.epoch,
    sets: Object.keys(lock.sets).map((set) => lockedSetOf(lock, set)),
    files: Object.entries(lock.files).map(([name, file]) => ({ name, ...file })),
    changes: before ? lockChanges(before, lock) : null,
    warnings,
  }
}

/** One that cannot be read counts as none where a new one is wanted anyway. */
function lockBefore(path: string, update: boolean): Promise<Lock | undefined> {
  return readLock(path).catch((error: KeyvisorError) => {
    if (update && ['lock-damaged', 'lock-newer'].includes(error.code)) return undefined
    throw error
  })
}

function lockedSetOf(lock: Lock, set: string): LockedSet {
  const packages = lockedSet(lock, set)
  return { set, packages: packages.length, size: packages.reduce((sum, { size }) => sum + size, 0) }
}
