/**
 * From a profile's path to the stages of its build, with their keys: everything that is settled before the first byte.
 */
import type { Sha256 } from '../base/digests.js'
import { systemTools } from '../base/tool.js'
import { digestEntries, plannedEntries, type TarEntry } from '../debian/files.js'
import { hostEntries } from '../host/root.js'
import { lockedSet, setDigest } from '../lock/lock.js'
import type { Lock } from '../lock/types.js'
import { secretsDigest } from '../plan/secrets.js'
import { type Prepared, type PrepareRequest, prepare } from '../prepare/prepare.js'
import { guestEntries } from '../sources/debian/disk.js'
import type { Workplace } from '../store/workplace.js'
import { usesSystemTools } from '../tools/tools.js'
import type { Meanings } from './explain.js'
import { programDigest } from './program.js'
import { type InputDigests, planStages, type Stages } from './stages.js'

export interface PlannedBuild extends Prepared {
  stages: Stages
  /** What digests among the stages' inputs stand for. */
  meanings: Meanings
}

/** Prepares a build, and plans its stages. Throws as {@link prepare} does. */
export async function planBuild(request: PrepareRequest, place: Workplace): Promise<PlannedBuild> {
  // Perl takes a while to say it, so it is asked first. What goes wrong is told where it is needed.
  const mmdebstrap = mmdebstrapVersion()
  mmdebstrap.catch(() => {})
  const prepared = await prepare(request, place)
  const { digests, meanings } = await inputDigests(prepared, mmdebstrap)
  return { ...prepared, stages: planStages(prepared.plan, prepared.lock, digests), meanings }
}

async function inputDigests(
  { plan, secrets, lock, builder }: Prepared,
  mmdebstrap: Promise<string>,
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
    version: builder,
    hostEntries: await digestOf(host),
    guestEntries: guests,
    secrets: secretsDigest(secrets, plan.name),
    mmdebstrap: await mmdebstrap,
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
