/**
 * Explaining a build: which stages ran, and which of their inputs differ from those of the last build of the same image.
 *
 * A stage's inputs say what they are of: files by path, packages by version.
 */

import type { Json, Sha256 } from '../base/digests.js'
import { sha256 } from '../base/digests.js'
import { type JsonChange, jsonChanges } from '../base/json-changes.js'
import type { StageIdentity } from '../store/stage.js'
import type { Store } from '../store/store.js'
import { type Stages, stageList } from './stages.js'

/** By name of the stage: its inputs, spelled out. */
export type SpelledOut = Record<string, Record<string, Json>>

export interface Explanation {
  stage: string
  title: string
  /** The store had its result. */
  reused: boolean
  /** The first member of a path is `stages`, `files`, `packages`, `program` (Keyvisor itself), or the name of another input. */
  changes: JsonChange[]
  /** False when no earlier build of the image has had this stage: then `changes` is empty. */
  known: boolean
}

export function spellOut(stages: Stages): SpelledOut {
  return Object.fromEntries(stageList(stages).map((stage) => [stage.name, spelledInputs(stage)]))
}

function spelledInputs({ inputs, program, reads }: StageIdentity): Record<string, Json> {
  const read = Object.values(reads).map(({ name, key }) => [name, key] as const)
  return { ...inputs, program, ...(read.length > 0 ? { stages: Object.fromEntries(read) } : {}) }
}

/** @param reused names of the stages whose results the store had */
export function explain(
  stages: Stages,
  before: SpelledOut | undefined,
  after: SpelledOut,
  reused: ReadonlySet<string>,
): Explanation[] {
  return stageList(stages).map(({ name, title }) => {
    const [old, now] = [before?.[name], after[name] ?? {}]
    const changes = old ? jsonChanges(old, now) : []
    return { stage: name, title, reused: reused.has(name), changes, known: old !== undefined }
  })
}

/** What the last build of an image was made of; undefined when the store does not know. */
export async function lastInputs(store: Store, image: string): Promise<SpelledOut | undefined> {
  return (await store.readRecord(recordKey(image)))?.facts as SpelledOut | undefined
}

export async function rememberInputs(store: Store, image: string, inputs: SpelledOut): Promise<void> {
  await store.writeRecord(recordKey(image), { stage: '', objects: {}, facts: inputs })
}

function recordKey(image: string): Sha256 {
  return sha256(`inputs of ${image}`)
}
