/**
 * From a profile's path to a Plan: the profile is validated, its lock is taken or made, and everything is decided.
 */
import { dirname, resolve } from 'node:path'
import type { Sha256 } from '../base/digests.js'
import type { Problem } from '../base/errors.js'
import { Keyed } from '../base/keyed.js'
import { version } from '../base/package.js'
import { readSecret } from '../base/secret.js'
import { type Bytes, KiB } from '../base/units.js'
import { readUserText } from '../base/user-file.js'
import { type LockQuestion, type LockUse, lockPath, takeLock } from '../lock/choose.js'
import { archivesOf } from '../lock/fetch.js'
import { lockedSet, setDigest } from '../lock/lock.js'
import type { Lock } from '../lock/types.js'
import { packageRequests } from '../plan/packages.js'
import { makePlan, type ProfileFiles } from '../plan/plan.js'
import { hasSecrets, type Secrets, secretsDigest } from '../plan/secrets.js'
import type { Plan } from '../plan/types.js'
import { imageFiles, imageSizes } from '../profile/images.js'
import { loadProfile } from '../profile/load.js'
import type { Workplace } from '../store/workplace.js'
import { usesSystemTools } from '../tools/tools.js'
import type { Profile } from '../yaml/profile.gen.js'

export { plannedBases } from '../plan/bases.js'
export { guestPackages, guestSet } from '../plan/packages.js'

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
  secrets: Keyed<Secrets>
  /** There are some: only the builder's user may read what they are in. */
  isPrivate: boolean
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
  const { profile, warnings } = await loadProfile(request.profile)
  const folder = dirname(resolve(request.profile))
  const question = lockQuestion(request, profile)
  const { lock, made } = await takeLock(question, request, place)
  const plan = makePlan(profile, lock, await readProfileFiles(profile, folder))
  const secrets = await readSecrets(profile, folder)
  return {
    profileFile: request.profile,
    plan,
    secrets: new Keyed(secrets, secretsDigest(secrets, plan.name)),
    isPrivate: hasSecrets(secrets),
    lock,
    archives: archivesOf(lock, profile.host),
    lockFile: question.path,
    lockMade: made,
    builder: version(),
    warnings,
  }
}

/** What the lock of a valid profile has to answer. */
export function lockQuestion(request: { profile: string; lock?: string }, profile: Profile): LockQuestion {
  const folder = dirname(resolve(request.profile))
  const files = imageFiles(profile, folder).map(({ name, path, format }) => [name, { path, format }])
  const path = request.lock ?? lockPath(request.profile)
  const packages = packageRequests(profile)
  const asked = { packages, files: Object.fromEntries(files), mirror: profile.host?.mirror }
  return { profile: request.profile, path, request: asked }
}

async function readProfileFiles(profile: Profile, folder: string): Promise<ProfileFiles> {
  const sshKeyFiles: Record<string, string> = Object.create(null)
  for (const path of profile.host?.admin?.sshKeyFiles ?? []) {
    sshKeyFiles[path] = await readUserText(resolve(folder, path))
  }
  const virtualSizes = await imageSizes(profile, folder)
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

/** The packages of a set, as the stage takes them that installs them into a tree. */
export function treePackages(
  { plan, lock }: Pick<Prepared, 'plan' | 'lock'>,
  set: string,
  { suite, packages: asked }: { suite: string; packages: string[] },
) {
  const locked = lockedSet(lock, set)
  const versions = Object.fromEntries(locked.map(({ name, version }) => [name, version]))
  const digest = setDigest(lock, set)
  return { suite, asked, packages: new Keyed(locked, versions), digest, epoch: plan.epoch }
}

/** The tools that make the bytes of an image: their digest, and their names; the machine's own have neither. */
export function packingTools({ lock }: Pick<Prepared, 'lock'>): { key: Sha256; packages: NamedPackage[] } {
  return usesSystemTools()
    ? { key: 'system', packages: [] }
    : { key: setDigest(lock, 'tools.pack'), packages: namedPackages({ lock }, 'tools.pack') }
}

/** A package as it is shown. */
export interface NamedPackage {
  name: string
  version: string
  architecture: string
}

/** The packages of a set. */
export function namedPackages({ lock }: Pick<Prepared, 'lock'>, set: string): NamedPackage[] {
  return lockedSet(lock, set).map(({ name, version, architecture }) => ({ name, version, architecture }))
}

/** What each package of a set takes unpacked, by its own account (Debian Policy, section 5.6.20: in KiB). */
export function installedSizes({ lock }: Pick<Prepared, 'lock'>, set: string): Map<string, Bytes> {
  const size = (stanza: string) => Number(/^Installed-Size: (\d+)$/m.exec(stanza)?.[1] ?? 0) * KiB
  return new Map(lockedSet(lock, set).map(({ name, stanza }) => [name, size(stanza)]))
}
