/**
 * Results: every stage of a build is run once what it reads is there, and its result is in the store.
 */
import type { Sha256 } from '../base/digests.js'
import { limited } from '../base/parallel.js'
import type { ToolRunner } from '../base/tool.js'
import { type BaseFile, leavesOf } from '../sources/base.js'
import { runStage, type StagePlace } from '../store/run-stage.js'
import type { Stage, StageResult } from '../store/stage.js'
import type { Workplace } from '../store/workplace.js'
import { buildTools } from '../tools/tools.js'
import type { PlannedBuild } from './plan-build.js'
import { storedStages } from './stages.js'

/** Stages that run at the same time: installing packages keeps one core busy. */
const PARALLEL = 2

/** What a build has made. */
export interface Results {
  /** Of a stage of this build. */
  of: (stage: Stage) => StageResult
  /** What made it. */
  tools: ToolRunner
}

/** Takes every result from the store, or makes it there. */
export async function makeResults(planned: PlannedBuild, place: Workplace): Promise<Results> {
  const { stages } = planned
  const equipment = await buildTools(planned, stages.loader.inputs['tools'] as string, place)
  const leaves = (base: BaseFile) => leavesOf(base, place)
  const made = await runAll(storedStages(stages), { ...place, ...equipment, leaves })
  return {
    of({ key, name }) {
      const result = made.get(key)
      if (!result) throw new Error(`BUG: no result of ${name}`)
      return result
    },
    tools: equipment.tools,
  }
}

/** Runs stages side by side, each when its turn has come and what it reads is made; the first failure ends the others. */
async function runAll(stages: Stage[], place: StagePlace): Promise<Map<Sha256, StageResult>> {
  const failing = new AbortController()
  const signal = place.signal ? AbortSignal.any([place.signal, failing.signal]) : failing.signal
  const own = { ...place, signal }
  const slot = limited(PARALLEL)
  const running = new Map<Sha256, Promise<StageResult>>()
  const start = (stage: Stage): Promise<StageResult> => {
    const begun = running.get(stage.key)
    if (begun) return begun
    const work = readOf(stage, start).then((read) => slot(() => runStage(own, stage, read)))
    work.catch((error) => failing.abort(error))
    running.set(stage.key, work)
    return work
  }
  const settled = await Promise.allSettled(stages.map(start))
  const failed = settled.find((result) => result.status === 'rejected')
  if (failed) throw failing.signal.reason ?? failed.reason
  return new Map(await Promise.all([...running].map(async ([key, work]) => [key, await work] as const)))
}

async function readOf(
  { reads }: Stage,
  result: (stage: Stage) => Promise<StageResult>,
): Promise<Record<string, StageResult>> {
  const entries = Object.entries(reads).map(async ([name, stage]) => [name, await result(stage)] as const)
  return Object.fromEntries(await Promise.all(entries))
}
