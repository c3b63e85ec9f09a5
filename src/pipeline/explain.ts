/**
 * Explaining a build: which stages ran, and which of their inputs differ from those of the last build of the same image.
 *
 * What a stage's inputs say by digests is spelled out, as far as it is known: files by path, packages by version.
 */

import type { Json, Sha256 } from '../base/digests.js'
import { sha256 } from '../base/digests.js'
import { type JsonChange, jsonChanges } from '../base/json-changes.js'
import { lookUp } from '../base/lookup.js'
import type { Store } from '../store/store.js'
import type { Stage } from './stage.js'
import { type Stages, stageList } from './stages.js'

/** What digests among the inputs stand for: members by name, such as `{"/etc/hostname": …}`. */
export type Meanings = Record<Sha256, Record<string, Json>>

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

/** Inputs that go by another name here, since their digests are spelled out. */
const NAMES: Record<string, string> = { entries: 'files' }

export function spellOut(stages: Stages, meanings: Meanings): SpelledOut {
  const list = stageList(stages)
  const names = new Map(list.map(({ key, name }) => [key, name]))
  return Object.fromEntries(list.map(({ name, inputs }) => [name, spelledInputs(inputs, names, meanings)]))
}

function spelledInputs(
  inputs: Stage['inputs'],
  stages: Map<Sha256, string>,
  meanings: Meanings,
): Record<string, Json> {
  const spelled: Record<string, Json> = {}
  const add = (name: string, members: Record<string, Json>) => {
    spelled[name] = { ...(spelled[name] as Record<string, Json> | undefined), ...members }
  }
  for (const [name, value] of Object.entries(inputs)) {
    const digests = [value].flat().filter((item) => typeof item === 'string')
    const known = digests.filter((digest) => stages.has(digest) || Object.hasOwn(meanings, digest))
    if (known.length === 0) spelled[name] = value
    for (const digest of known) {
      const stage = stages.get(digest)
      if (stage !== undefined) add('stages', { [stage]: digest })
      else add(lookUp(NAMES, name) ?? name, lookUp(meanings, digest) ?? {})
    }
  }
  return spelled
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
