/** Stages for tests: of any name and inputs, whose work a test gives. */
import type { Json } from '../../src/base/digests.js'
import { type Stage, type StageOutput, stageOf, type Workbench } from '../../src/store/stage.js'

type Work = (bench: Workbench) => Promise<StageOutput>

/** A stage that makes nothing unless told, with the name of its own kind as its program. */
export function stage(
  name: string,
  inputs: Record<string, Json> = {},
  reads: Record<string, Stage> = {},
  make: Work = () => Promise.reject(new Error(`nobody said what ${name} makes`)),
  program = 'program',
): Stage {
  const room = () => ({ scratch: 0, result: 0 })
  const definition = { name, title: 'make a disk', program: name, inputs, reads, room, make }
  return stageOf(definition, { programOf: () => program, tools: 'system' })
}
