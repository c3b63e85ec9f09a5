/**
 * A stage: a pure description of work, whose key is the digest of all that can change its output.
 *
 * The keys of a whole build are known before any stage runs, since a stage that reads another's output has that
 * one's key among its inputs: builds are deterministic, so equal keys mean equal bytes.
 */
import { canonicalJson, type Json, type Sha256, sha256 } from '../base/digests.js'
import { onDisk } from '../base/file-errors.js'
import { removeScratch } from '../base/namespace.js'
import type { StageRecord, Store, StoredObject } from '../store/store.js'
import type { Workplace } from '../store/workplace.js'

export interface Stage {
  /** Unique in a build, such as `disk.counter`. */
  name: string
  /** For people: what is going on. */
  title: string
  key: Sha256
  /** Everything that can change the output, each under a name that says why it is here. */
  inputs: Record<string, Json>
}

/** What a stage made in its scratch folder. */
export interface Made {
  files: Record<string, string>
  facts: Record<string, Json>
  /** Secrets are in the files: only the builder's user may read them. */
  isPrivate?: boolean
}

/** A stage's result, in the store. */
export interface Done {
  objects: Record<string, StoredObject>
  facts: Record<string, Json>
}

export function stage(name: string, version: number, title: string, inputs: Record<string, Json>): Stage {
  return { name, title, key: sha256(canonicalJson({ name: kindOf(name), version, inputs })), inputs }
}

/** `tree.counter` and `tree.forgetful` with equal inputs are one stage in the store. */
function kindOf(name: string): string {
  return name.split('.')[0] as string
}

/** Takes the stage's result from the store, or makes it there. */
export async function runStage(
  place: Workplace,
  { name, title, key }: Stage,
  make: (scratch: string, note: (line: string) => void) => Promise<Made>,
): Promise<Done> {
  const started = Date.now()
  place.signal?.throwIfAborted()
  place.progress({ kind: 'start', stage: name, title })
  const record = await place.store.readRecord(key)
  const kept = record && (await storedResult(place.store, record))
  if (kept) await place.store.touchRecord(key)
  const done = kept ?? (await onDisk(title, () => makeResult(place, name, key, make), place.store.folder))
  place.progress({
    kind: 'end',
    stage: name,
    seconds: (Date.now() - started) / 1000,
    reused: kept !== undefined,
  })
  return done
}

/** The objects of a record, each checked against its digest; undefined when one is missing or damaged. */
async function storedResult(store: Store, record: StageRecord): Promise<Done | undefined> {
  const objects: Record<string, StoredObject> = {}
  for (const [name, { sha256, size }] of Object.entries(record.objects)) {
    const object = await store.verified(sha256, size)
    if (!object) return undefined
    objects[name] = object
  }
  return { objects, facts: record.facts }
}

/** Records are read wherever the store was moved to. */
function withoutPaths(objects: Record<string, StoredObject>): StageRecord['objects'] {
  return Object.fromEntries(
    Object.entries(objects).map(([name, { sha256, size }]) => [name, { sha256, size }]),
  )
}

async function makeResult(
  place: Workplace,
  name: string,
  key: Sha256,
  make: (scratch: string, note: (line: string) => void) => Promise<Made>,
): Promise<Done> {
  const scratch = await place.store.scratch(name)
  try {
    const made = await make(scratch, (text) => place.progress({ kind: 'note', stage: name, text }))
    const objects: Record<string, StoredObject> = {}
    for (const [file, path] of Object.entries(made.files)) {
      objects[file] = await place.store.add(path, undefined, made.isPrivate)
    }
    await place.store.writeRecord(key, { stage: name, objects: withoutPaths(objects), facts: made.facts })
    return { objects, facts: made.facts }
  } finally {
    await removeScratch(scratch)
  }
}
