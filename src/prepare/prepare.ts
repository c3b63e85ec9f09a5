/**
 * From a profile's path to a Plan: the profile is validated, its lock is taken or made, and everything is decided.
 */
import { dirname, resolve } from 'node:path'
import { EXIT, KeyvisorError, type Problem } from '../base/errors.js'
import { version } from '../base/package.js'
import { readSecret } from '../base/secret.js'
import { readUserText } from '../base/user-file.js'
import { type LockQuestion, type LockUse, lockPath, takeLock } from '../lock/choose.js'
import { archivesOf } from '../lock/fetch.js'
import type { Lock } from '../lock/types.js'
import { packageRequests } from '../plan/packages.js'
import { makePlan, type ProfileFiles } from '../plan/plan.js'
import type { Secrets } from '../plan/secrets.js'
import type { Plan } from '../plan/types.js'
import type { Profile } from '../profile/profile.gen.js'
import { validateProfile } from '../profile/validate.js'
import { imageVirtualSize } from '../sources/image/disk.js'
import type { Workplace } from '../store/workplace.js'

export interface PrepareRequest extends LockUse {
  /** Path of the profile. */
  profile: string
  /** Path of the lock; beside the profile unless told. */
  lock?: string
}

export interface Prepared {
  /** Where the profile was read, as the user named it. */
  profileFile: string
  plan: Plan
  /** For the host's root alone: nothing that is printed or published is made of them but a stretched digest. */
  secrets: Secrets
  lock: Lock
  /** Where locked packages are looked for that the store lacks. */
  archives: string[]
  lockFile: string
  /** True when the lock was made now, and written. */
  lockMade: boolean
  /** Version of Keyvisor, for the manifest. */
  builder: string
  warnings: Problem[]
}

/**
 * Validates the profile, takes or makes its lock, and plans. Throws `invalid-profile` with all problems, and what
 * the lock's functions throw.
 */
export async function prepare(request: PrepareRequest, place: Workplace): Promise<Prepared> {
  const { profile, warnings } = await validProfile(request.profile)
  const folder = dirname(resolve(request.profile))
  const question = lockQuestion(request, profile)
  const { lock, made } = await takeLock(question, request, place)
  return {
    profileFile: request.profile,
    plan: makePlan(profile, lock, await readProfileFiles(profile, folder)),
    secrets: await readSecrets(profile, folder),
    lock,
    archives: archivesOf(lock, profile.host),
    lockFile: question.path,
    lockMade: made,
    builder: version(),
    warnings,
  }
}

/** Validates a profile. Throws `invalid-profile` with all problems. */
export async function validProfile(path: string): Promise<{ profile: Profile; warnings: Problem[] }> {
  const { loaded, problems } = await validateProfile(path, { files: true })
  const errors = problems.filter((problem) => problem.severity === 'error')
  if (errors.length > 0 || !loaded) {
    const count = errors.length === 1 ? 'a problem' : `${errors.length} problems`
    throw new KeyvisorError('invalid-profile', `${path} has ${count}`, { exitCode: EXIT.usage, problems })
  }
  return { profile: loaded.profile, warnings: problems }
}

/** What the lock of a valid profile has to answer. */
export function lockQuestion(request: { profile: string; lock?: string }, profile: Profile): LockQuestion {
  const folder = dirname(resolve(request.profile))
  const images = (profile.guests ?? []).flatMap(({ name, source }) =>
    'image' in source ? [[name, resolve(folder, source.image)] as const] : [],
  )
  const path = request.lock ?? lockPath(request.profile)
  const packages = packageRequests(profile)
  const asked = { packages, images: Object.fromEntries(images), mirror: profile.host?.mirror }
  return { profile: request.profile, path, request: asked }
}

async function readProfileFiles(profile: Profile, folder: string): Promise<ProfileFiles> {
  const sshKeyFiles: Record<string, string> = Object.create(null)
  for (const path of profile.host?.admin?.sshKeyFiles ?? []) {
    sshKeyFiles[path] = await readUserText(resolve(folder, path))
  }
  const virtualSizes: Record<string, number> = {}
  for (const { name, source } of profile.guests ?? []) {
    if ('image' in source)
      virtualSizes[name] = await imageVirtualSize(resolve(folder, source.image), source.format)
  }
  return { folder, sshKeyFiles, virtualSizes }
}

/** Validation has read each of them once, and found nothing wrong. */
async function readSecrets(profile: Profile, folder: string): Promise<Secrets> {
  const { admin, network } = profile.host ?? {}
  const given = admin?.passwordHash
  const wifi = (network?.wifi ?? []).map(({ passphrase }) => readSecret(passphrase, folder))
  return {
    passwordHash: given === undefined ? null : await readSecret(given, folder),
    wifi: await Promise.all(wifi),
  }
}
