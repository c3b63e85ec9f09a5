/**
 * A stage: a pure description of work, whose key is the digest of all that can change its output.
 *
 * Its maker gets the inputs, and the results of the stages that it reads: exactly what its key is made of. The keys of a
 * whole build are known before any stage runs; builds are deterministic, so equal keys mean equal bytes.
 *
 * Left out: running one (`run.ts`), and in which order (`pipeline/`).
 */
import { canonicalJson, type Json, type Sha256, sha256 } from '../base/digests.js'
import type { ToolRunner } from '../base/tool.js'
import type { Bytes } from '../base/units.js'
import type { StoredObject } from './store.js'

/** What a stage is, as `plan` shows it and `--explain` compares it. */
export interface StageIdentity {
  /** Unique in a build, such as `disk.counter`. */
  name: string
  /** For people: what is going on. */
  title: string
  key: Sha256
  /** What its maker gets, as it stands in the key; each under a name that says why it is here. */
  inputs: Record<string, Json>
  /** Digest of the source of its maker, and of all modules and scripts that this uses. */
  program: Sha256
  /** The stages whose results it reads; their keys are in its own. */
  reads: Record<string, StageIdentity>
}

export interface Stage extends StageIdentity {
  reads: Record<string, Stage>
  room(sizeOf: SizeOf): Room
  make(bench: Workbench, read: Record<string, StageResult>): Promise<StageOutput>
}

/** Bytes of an object of another stage: measured where that has run, else its estimate. */
export type SizeOf = (stage: Stage, object: string) => Bytes

/** What a stage takes of the store's file system, on the safe side, and how large its objects become. */
export interface Room {
  /** While it runs. */
  scratch: Bytes
  /** What stays. */
  result: Bytes
  /** Estimates of single objects, where somebody plans with them. */
  objects?: Record<string, Bytes>
}

/** What a maker works with. Its tools see the scratch folder and the store, and end when the build does. */
export interface Workbench {
  /** An empty folder of its own, removed when the stage ends. */
  scratch: string
  tools: ToolRunner
  /** Objects of these digests, each with the bytes that its name says: fetched again where the store's are damaged. */
  fetched(items: readonly { sha256: Sha256; size: Bytes }[]): Promise<string[]>
  /** Path of the digests of all blocks of a file, as a hash tree has them (`disk/verity.ts`). */
  leaves(base: StoredObject): Promise<string>
  /** Tells the user of progress. */
  note(line: string): void
  signal: AbortSignal
}

/** What a stage made in its scratch folder. */
export interface StageOutput {
  files: Record<string, string>
  facts?: Record<string, Json>
  /** Secrets are in the files: only the builder's user may read them. */
  isPrivate?: boolean
}

/** The same, in the store. */
export interface StageResult {
  objects: Record<string, StoredObject>
  facts: Record<string, Json>
}

/** A stage as its file describes it. */
export interface StageDefinition<In extends object, Read extends string = string> {
  name: string
  title: string
  /** Its maker's module below src/, such as `host/root`. */
  program: string
  /** Plain JSON but for {@link Keyed} values. An `epoch` among them is also SOURCE_DATE_EPOCH of its tools. */
  inputs: In
  reads: Record<Read, Stage>
  room(sizeOf: SizeOf): Room
  make(bench: Workbench, inputs: In, read: Record<Read, StageResult>): Promise<StageOutput>
}

/** What keys are made of beside a stage's own inputs. */
export interface Common {
  /** Digest of a module's source and all that it uses, by the module's path below src/. */
  programOf: (module: string) => Sha256
  /** Which tools make the bytes: the digest of the tree's packages, or a word that says they are the machine's. */
  tools: string
}

/** The stage of a definition, with its key. */
export function stageOf<In extends object, Read extends string>(
  definition: StageDefinition<In, Read>,
  { programOf, tools }: Common,
): Stage {
  const { name, title, inputs, reads, room } = definition
  const program = programOf(definition.program)
  const shown = { ...(JSON.parse(JSON.stringify(inputs)) as Record<string, Json>), tools }
  return {
    name,
    title,
    key: stageKey({ name, inputs: shown, program, reads }),
    inputs: shown,
    program,
    reads,
    room,
    make: (bench, read) => definition.make(bench, inputs, read as Record<Read, StageResult>),
  }
}

/** The key of a stage: `tree.counter` and `tree.forgetful` with equal inputs are one stage in the store. */
export function stageKey({ name, inputs, program, reads }: Omit<StageIdentity, 'title' | 'key'>): Sha256 {
  const kind = name.split('.')[0] as string
  const keys = Object.fromEntries(Object.entries(reads).map(([read, { key }]) => [read, key]))
  return sha256(canonicalJson({ kind, program, inputs, reads: keys }))
}

/** The result that a maker reads under a name. */
export function readOf(read: Record<string, StageResult>, name: string): StageResult {
  const found = read[name]
  if (!found) throw new Error(`BUG: nothing is read as ${name}`)
  return found
}

/** The object of a name among those that a stage made. */
export function objectOf({ objects }: StageResult, name: string): StoredObject {
  const found = objects[name]
  if (!found) throw new Error(`BUG: the stage made no ${name}`)
  return found
}

/** An object as manifests name it; the root hash is empty where there is no hash tree behind it. */
export function payloadOf(
  result: StageResult,
  name: string,
): { sha256: Sha256; size: Bytes; rootHash: string } {
  const { sha256, size } = objectOf(result, name)
  return { sha256, size, rootHash: String(result.facts['rootHash'] ?? '') }
}

/** Where the hash tree of a payload is (`disk/hash-tree.ts`). */
export function hashTreeOf({ facts }: StageResult): { rootHash: string; offset: Bytes } {
  return { rootHash: String(facts['rootHash']), offset: Number(facts['offset']) }
}
