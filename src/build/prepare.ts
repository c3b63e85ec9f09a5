/**
 * From a profile's path to a Plan and its stages: everything that is settled before the first byte.
 */
import { dirname, resolve } from 'node:path'
import type { Sha256 } from '../base/digests.js'
import { EXIT, KeyvisorError, type Problem } from '../base/errors.js'
import { systemTools } from '../base/tool.js'
import { readUserText } from '../base/user-file.js'
import { digestEntries, plannedEntries, type TarEntry } from '../debian/files.js'
import { guestEntries } from '../guests/debian.js'
import { imageVirtualSize } from '../guests/image.js'
import { hostEntries } from '../host/root.js'
import { packageRequests } from '../plan/packages.js'
import { makePlan, type ProfileFiles } from '../plan/plan.js'
import { type Secrets, secretsDigest } from '../plan/secrets.js'
import type { Lock, Plan } from '../plan/types.js'
import type { Profile } from '../profile/profile.gen.js'
import { readSecret } from '../profile/secrets.js'
import { validateProfile } from '../profile/validate.js'
import type { Meanings } from './explain.js'
import { archivesOf } from './fetch.js'
import { lockedSet, setDigest } from './lock.js'
import { programDigest } from './program.js'
import type { StageRun } from './stage.js'
import { type InputDigests, planStages, type Stages } from './stages.js'
import { type LockQuestion, type LockUse, lockPath, takeLock } from './take-lock.js'
import { usesSystemTools } from './tools.js'
import { version } from './version.js'

export interface PrepareRequest extends LockUse {
  /** Path of the profile. */
  profile: string
  /** Path of the lock; beside the profile unless told. */
  lock?: string
}

export interface Prepared {
  profile: Profile
  /** Where it was read, as the user named it. */
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
  stages: Stages
  /** What digests among the stages' inputs stand for. */
  meanings: Meanings
  /** Version of Keyvisor, for the manifest. */
  builder: string
  warnings: Problem[]
}

/**
 * Validates the profile, takes or makes its lock, and plans. Throws `invalid-profile` with all problems, and what
 * the lock's functions throw.
 */
export async function prepare(request: PrepareRequest, run: StageRun): Promise<Prepared> {
  // Perl takes a while to say it, so it is asked first. What goes wrong is told where it is needed.
  const mmdebstrap = mmdebstrapVersion()
  mmdebstrap.catch(() => {})
  const { profile, warnings } = await validProfile(request.profile)
  const folder = dirname(resolve(request.profile))
  const question = lockQuestion(request, profile)
  const { lock, made } = await takeLock(question, request, run)
  const builder = version()
  const plan = makePlan(profile, lock, await readProfileFiles(profile, folder))
  const secrets = await readSecrets(profile, folder)
  const { digests, meanings } = await inputDigests(plan, secrets, lock, { version: builder, mmdebstrap })
  const stages = planStages(plan, lock, digests)
  const archives = archivesOf(lock, profile.host)
  const pinned = { lock, archives, lockFile: question.path, lockMade: made }
  return {
    profile,
    profileFile: request.profile,
    plan,
    secrets,
    ...pinned,
    stages,
    meanings,
    builder,
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

async function inputDigests(
  plan: Plan,
  secrets: Secrets,
  lock: Lock,
  programs: { version: string; mmdebstrap: Promise<string> },
): Promise<{ digests: InputDigests; meanings: Meanings }> {
  const meanings = packageMeanings(lock)
  const digestOf = async (entries: TarEntry[]) => {
    const { all, each } = await digestEntries(entries)
    meanings[all] = each
    return all
  }
  const guests: Record<string, Sha256> = {}
  for (const guest of plan.guests) {
    const { name, source } = guest
    if (source.kind !== 'debian') continue
    guests[name] = await digestOf([...guestEntries(guest, source), ...plannedEntries(source.files)])
  }
  const host = [...(await hostEntries(plan.host)), ...plannedEntries(plan.host.files)]
  const digests = {
    program: await programDigest(),
    version: programs.version,
    hostEntries: await digestOf(host),
    guestEntries: guests,
    secrets: secretsDigest(secrets, plan.name),
    mmdebstrap: await programs.mmdebstrap,
    tools: usesSystemTools() ? 'system' : setDigest(lock, 'tools.pack'),
  }
  return { digests, meanings }
}

/** The versions that each set of the lock stands for. */
function packageMeanings(lock: Lock): Meanings {
  return Object.fromEntries(
    Object.keys(lock.sets).map((set) => [
      setDigest(lock, set),
      Object.fromEntries(lockedSet(lock, set).map(({ name, version }) => [name, version])),
    ]),
  )
}

async function mmdebstrapVersion(): Promise<string> {
  const { stdout } = await systemTools.run({ tool: 'mmdebstrap', args: ['--version'] })
  return stdout.trim()
}
