/**
 * Foreseeing: what is known of stages before they run. Exact where the store has a stage's result, else the stage's own
 * estimate.
 */
import type { Sha256 } from '../base/digests.js'
import type { SizeOf, Stage, StageIdentity } from './stage.js'
import type { StageRecord, Store } from './store.js'

export interface Foreseen {
  /** What the store has of a stage; undefined where one of its objects is missing. */
  record(stage: StageIdentity): StageRecord | undefined
  sizeOf: SizeOf
}

export async function foresee(stages: readonly Stage[], store: Store): Promise<Foreseen> {
  const records = new Map<Sha256, StageRecord>()
  for (const { key } of stages) {
    const record = await wholeRecord(key, store)
    if (record) records.set(key, record)
  }
  const sizeOf: SizeOf = (stage, object) =>
    records.get(stage.key)?.objects[object]?.size ??
    stage.room(sizeOf).objects?.[object] ??
    unknown(stage, object)
  return { record: ({ key }) => records.get(key), sizeOf }
}

function unknown({ name }: StageIdentity, object: string): never {
  throw new Error(`BUG: stage ${name} has no estimate of ${object}`)
}

async function wholeRecord(key: Sha256, store: Store): Promise<StageRecord | undefined> {
  const record = await store.readRecord(key)
  if (!record) return undefined
  for (const { sha256, size } of Object.values(record.objects)) {
    if (!(await store.has(sha256, size))) return undefined
  }
  return record
}
