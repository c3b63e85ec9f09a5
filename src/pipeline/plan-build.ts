/**
 * From a profile's path to the stages of its build, with their keys: everything that is settled before the first byte.
 */
import { sha256 } from '../base/digests.js'
import { systemTools, which } from '../base/tool.js'
import { hostFiles } from '../host/root.js'
import {
  type Prepared,
  type PrepareRequest,
  packingTools,
  plannedBases,
  prepare,
} from '../prepare/prepare.js'
import { readSource } from '../sources/sources.js'
import { programOf } from '../store/program.js'
import type { Store } from '../store/store.js'
import { fileStamp } from '../store/unchanged.js'
import type { Workplace } from '../store/workplace.js'
import { type BuildFacts, planStages, type Stages } from './stages.js'

export interface PlannedBuild extends Prepared {
  stages: Stages
}

/** Prepares a build, and plans its stages. Throws as {@link prepare} does. */
export async function planBuild(request: PrepareRequest, place: Workplace): Promise<PlannedBuild> {
  // Perl takes a while to say it, so it is asked first. What goes wrong is told where it is needed.
  const mmdebstrap = mmdebstrapVersion(place.store)
  mmdebstrap.catch(() => {})
  const prepared = await prepare(request, place)
  return { ...prepared, stages: planStages(prepared, await buildFacts(prepared, mmdebstrap)) }
}

async function buildFacts(prepared: Prepared, mmdebstrap: Promise<string>): Promise<BuildFacts> {
  const { stick } = prepared.plan
  const read: BuildFacts['read'] = Object.create(null)
  for (const base of plannedBases(prepared.plan)) {
    read[base.stage] = await readSource(base, stick.architecture)
  }
  return {
    hostFiles: await hostFiles(prepared.plan),
    read,
    mmdebstrap: await mmdebstrap,
    tools: packingTools(prepared).key,
    programOf,
  }
}

/** Remembered as long as its program is the same file. */
async function mmdebstrapVersion(store: Store): Promise<string> {
  const tool = 'mmdebstrap'
  const path = which(tool)
  const key = sha256(`version of ${path}`)
  const stamp = path && (await fileStamp(path))
  const known = stamp && (await store.readRecord(key))?.facts
  if (known && known['stamp'] === stamp) return String(known['version'])
  const { stdout } = await systemTools.run({ tool, args: ['--version'] })
  const version = stdout.trim()
  if (stamp) await store.writeRecord(key, { stage: '', objects: {}, facts: { stamp, version } })
  return version
}
