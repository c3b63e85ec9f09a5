/**
 * Which lock a build uses: the one that is there, or one that is made now.
 *
 * A lock that does not answer its profile is made anew, as cargo does, unless the caller wants it locked; so is one of an
 * earlier version, which keeps its packages. An image whose bytes changed is refused either way: only `keyvisor lock` and `--update` take the change.
 */

import { KeyvisorError, type Problem } from '../base/errors.js'
import { step } from '../base/progress.js'
import { shellWords } from '../base/shell.js'
import type { Workplace } from '../store/workplace.js'
import { misfits } from './compare.js'
import {
  answers,
  answersPackages,
  checkLockFolder,
  type LockRequest,
  makeLock,
  pinFiles,
  readLock,
  withFiles,
  writeLock,
} from './lock.js'
import { LOCK_VERSION } from './parse.js'
import type { Lock } from './types.js'

/** A lock's place, and what it has to answer. */
export interface LockQuestion {
  /** Path of the profile, for hints. */
  profile: string
  path: string
  request: LockRequest
}

/** How strict a build is about its lock. */
export interface LockUse {
  /** Make the lock anew. Ignored with `locked` and offline. */
  update?: boolean
  /** Refuse a lock that is missing or does not fit, and never write one. */
  locked?: boolean
}

/** Throws `lock-missing`, `lock-unfit`, `image-changed`, and what {@link makeLock} and {@link readLock} throw. */
export async function takeLock(
  question: LockQuestion,
  { update, locked }: LockUse,
  place: Workplace,
): Promise<{ lock: Lock; made: boolean }> {
  const keeps = locked || place.offline || !update
  const found = keeps ? await readLock(question.path) : undefined
  const problems = found && (await lockProblems(found, question, place))
  const fits = found && problems?.length === 0
  if (fits && (locked || found.version === LOCK_VERSION)) return { lock: found, made: false }
  if (locked) throw refusal(question, problems)
  const changed = problems?.filter(({ code }) => code === 'image-changed') ?? []
  if (changed.length > 0) throw imagesChanged(question, changed)
  return { lock: await makeLockFile(question, found, place), made: true }
}

/** Everything in which the lock does not fit; empty when it answers the profile, and no image changed. */
export async function lockProblems(lock: Lock, question: LockQuestion, place: Workplace): Promise<Problem[]> {
  const { request, path } = question
  const problems = misfits(lock, request, await pinFiles(request.files, place), path)
  if (problems.length > 0 || answers(lock, request)) return problems
  // A lock that somebody edited, or that does not say what was asked.
  const message = 'its checksum does not match the profile'
  return [{ code: 'set-changed', severity: 'error', file: path, path: 'requests', message }]
}

/**
 * Makes the lock and writes it. Package versions that still answer the profile stay as they are in `found`; without it
 * all are chosen anew. Throws `lock-unwritable`, offline `lock-missing` and `lock-unfit`, and what makeLock throws.
 */
export async function makeLockFile(
  question: LockQuestion,
  found: Lock | undefined,
  place: Workplace,
): Promise<Lock> {
  const { path, request } = question
  const kept = found && answersPackages(found, request) ? found : undefined
  if (place.offline && !kept) throw refusal(question, found && (await lockProblems(found, question, place)))
  await checkLockFolder(path)
  return step(place.progress, { stage: 'lock', title: makingTitle(path, found, kept) }, async () => {
    const lock = kept ? await withFiles(kept, request, place) : await makeLock(request, place)
    await writeLock(path, lock)
    return lock
  })
}

function makingTitle(path: string, found: Lock | undefined, kept: Lock | undefined): string {
  if (kept && kept.version !== LOCK_VERSION)
    return `write ${path} as version ${LOCK_VERSION}, with the same packages`
  if (kept) return `lock the images of guests, in ${path}`
  return found
    ? `choose package versions anew, since ${path} is for other packages or images`
    : `choose package versions, for ${path}`
}

/** @param problems undefined when there is no lock */
function refusal(question: LockQuestion, problems: Problem[] | undefined): KeyvisorError {
  const { path } = question
  if (!problems) {
    return new KeyvisorError('lock-missing', `there is no lock ${path}`, {
      hint: `create it on a machine with network access: ${lockCommand(question)}`,
    })
  }
  return new KeyvisorError('lock-unfit', `the lock ${path} does not fit ${question.profile}`, {
    hint: `look at what changed, then create it anew on a machine with network access: ${lockCommand(question)}`,
    problems,
  })
}

function imagesChanged(question: LockQuestion, problems: Problem[]): KeyvisorError {
  const guests = problems.map(({ path }) => path).join(', ')
  const message = `the lock ${question.path} names other images than those that are there: ${guests}`
  return new KeyvisorError('image-changed', message, {
    hint: `take the change: ${lockCommand(question)}`,
    problems,
  })
}

function lockCommand({ profile, path }: LockQuestion): string {
  const place = path === lockPath(profile) ? [] : ['--lock', path]
  return shellWords(['keyvisor', 'lock', profile, ...place])
}

/** `demo.yaml` has its lock in `demo.lock.json`. */
export function lockPath(profile: string): string {
  return `${profile.replace(/\.(ya?ml|json)$/, '')}.lock.json`
}
