/**
 * Running a stage: its result comes from the store, or is made there.
 */
import { onDisk } from '../base/file-errors.js'
import type { ToolCall, ToolRunner } from '../base/tool.js'
import type { Stage, StageResult, Workbench } from './stage.js'
import type { StageRecord, Store, StoredObject } from './store.js'
import type { Workplace } from './workplace.js'

/** A workplace with what makers need beside the store. */
export interface StagePlace extends Workplace {
  tools: ToolRunner
  fetched: Workbench['fetched']
  leaves: Workbench['leaves']
}

/** Takes the stage's result from the store, or makes it there from the results that it reads. */
export async function runStage(
  place: StagePlace,
  stage: Stage,
  read: Record<string, StageResult>,
): Promise<StageResult> {
  const { name, title, key } = stage
  const started = Date.now()
  place.signal?.throwIfAborted()
  place.progress({ kind: 'start', stage: name, title })
  const record = await place.store.readRecord(key)
  const kept = record && (await storedResult(place.store, record))
  if (kept) await place.store.touchRecord(key)
  const result = kept ?? (await onDisk(title, () => makeResult(place, stage, read), place.store.folder))
  const seconds = (Date.now() - started) / 1000
  place.progress({ kind: 'end', stage: name, seconds, reused: kept !== undefined })
  return result
}

/** The objects of a record, each checked against its digest; undefined when one is missing or damaged. */
async function storedResult(store: Store, record: StageRecord): Promise<StageResult | undefined> {
  const objects: Record<string, StoredObject> = {}
  for (const [name, { sha256, size }] of Object.entries(record.objects)) {
    const object = await store.verified(sha256, size)
    if (!object) return undefined
    objects[name] = object
  }
  return { objects, facts: record.facts }
}

async function makeResult(
  place: StagePlace,
  stage: Stage,
  read: Record<string, StageResult>,
): Promise<StageResult> {
  const { store } = place
  return store.inScratch(stage.name, async (scratch) => {
    const { files, facts = {}, isPrivate } = await stage.make(benchOf(place, stage, scratch), read)
    const objects: Record<string, StoredObject> = {}
    for (const [name, path] of Object.entries(files)) {
      objects[name] = await store.add(path, undefined, isPrivate)
    }
    await store.writeRecord(stage.key, { stage: stage.name, objects: withoutPaths(objects), facts })
    return { objects, facts }
  })
}

/** Records are read wherever the store was moved to. */
function withoutPaths(objects: Record<string, StoredObject>): StageRecord['objects'] {
  return Object.fromEntries(
    Object.entries(objects).map(([name, { sha256, size }]) => [name, { sha256, size }]),
  )
}

function benchOf(place: StagePlace, { name, inputs }: Stage, scratch: string): Workbench {
  const signal = place.signal ?? new AbortController().signal
  const epoch = inputs['epoch']
  const binds = [{ path: scratch, write: true }, { path: place.store.folder }]
  const env = epoch === undefined ? {} : { SOURCE_DATE_EPOCH: String(epoch) }
  const equipped = (call: ToolCall): ToolCall => ({
    signal,
    ...call,
    binds: [...binds, ...(call.binds ?? [])],
    env: { ...env, ...call.env },
  })
  return {
    scratch,
    tools: {
      argv: (call) => place.tools.argv(equipped(call)),
      run: (call) => place.tools.run(equipped(call)),
    },
    fetched: place.fetched,
    leaves: place.leaves,
    note: (text) => place.progress({ kind: 'note', stage: name, text }),
    signal,
  }
}
