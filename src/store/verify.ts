/**
 * Verifying a store: every byte is read, and what is damaged is removed, so that the next build makes it anew.
 */
import { rename, rm } from 'node:fs/promises'
import { basename } from 'node:path'
import { type Sha256, sha256File } from '../base/digests.js'
import { errorWords, ifThere, isAbsent, isLost } from '../base/file-errors.js'
import { removeScratch } from '../base/namespace.js'
import { type Progress, step } from '../base/progress.js'
import type { Bytes } from '../base/units.js'
import { objectPaths, readContents, recordKeys, type StoreContents, treeKeys } from './inventory.js'
import { isSealed } from './seal.js'
import type { Store } from './store.js'
import type { Workplace } from './workplace.js'

/** One thing that was damaged, and is removed. */
export interface Damage {
  kind: 'object' | 'record' | 'tree'
  /** Digest of the object, key of the record or tree. */
  key: Sha256
  /** What was wrong with it. */
  reason: string
  /** Stages whose result that was; empty for a package. */
  stages: string[]
}

export interface StoreHealth {
  folder: string
  /** What was looked at. */
  objects: number
  records: number
  trees: number
  bytes: Bytes
  damage: Damage[]
  /** Scratch of builds that were killed; the next build removes it. */
  stale: string[]
}

/** Reads the whole store. Safe beside builds that are running. */
export async function verifyStore({ store, progress, signal }: Workplace): Promise<StoreHealth> {
  return step(progress, { stage: 'verify', title: 'read the whole store' }, () =>
    readHealth(store, progress, signal),
  )
}

async function readHealth(store: Store, progress: Progress, signal?: AbortSignal): Promise<StoreHealth> {
  const contents = await readContents(store)
  const objects = await verifyObjects(store, contents, progress, signal)
  const records = await verifyRecords(store, new Set(objects.damage.map(({ key }) => key)))
  const trees = await verifyTrees(store, signal)
  return {
    folder: store.folder,
    objects: objects.count,
    records: records.count,
    trees: trees.count,
    bytes: objects.bytes,
    damage: [...objects.damage, ...records.damage, ...trees.damage],
    stale: await store.staleScratch(),
  }
}

/** Names of the stages that made an object. */
function stagesOf({ entries }: StoreContents, object: Sha256): string[] {
  return entries
    .filter(({ kind, objects }) => kind === 'stage' && objects.includes(object))
    .map(({ stage }) => stage)
}

interface Looked {
  count: number
  damage: Damage[]
}

async function verifyObjects(
  store: Store,
  contents: StoreContents,
  progress: Progress,
  signal: AbortSignal | undefined,
): Promise<Looked & { bytes: Bytes }> {
  const paths = await objectPaths(store)
  const damage: Damage[] = []
  let bytes = 0
  for (const path of paths) {
    signal?.throwIfAborted()
    const key = basename(path)
    const found = await sha256File(path).catch(unreadable)
    if (found instanceof Object) bytes += found.size
    const reason = objectDamage(key, found)
    if (reason) {
      await rm(path, { force: true })
      damage.push({ kind: 'object', key, reason, stages: stagesOf(contents, key) })
    }
    progress({ kind: 'bytes', stage: 'verify', done: bytes, total: Math.max(bytes, contents.total) })
  }
  return { count: paths.length, bytes, damage }
}

/** Undefined when an object was pruned in the meantime. What hinders us, but not the bytes, is no damage. */
function unreadable(error: unknown): string | undefined {
  if (isAbsent(error)) return undefined
  if (isLost(error)) return `it cannot be read: ${errorWords(error)}`
  throw error
}

/** Undefined when nothing is wrong with an object. */
function objectDamage(key: Sha256, found: { sha256: Sha256 } | string | undefined): string | undefined {
  if (!(found instanceof Object)) return found
  return found.sha256 === key ? undefined : `its bytes have the digest ${found.sha256}`
}

/** Every record names objects that are there. One whose objects were found `damaged` goes with them. */
async function verifyRecords(store: Store, damaged: Set<Sha256>): Promise<Looked> {
  const keys = await recordKeys(store)
  const damage: Damage[] = []
  for (const key of keys) {
    const record = await store.readRecord(key)
    const missing: Sha256[] = []
    for (const { sha256, size } of Object.values(record?.objects ?? {})) {
      if (!(await store.has(sha256, size))) missing.push(sha256)
    }
    if (record && missing.length === 0) continue
    await rm(store.recordPath(key), { force: true })
    if (record && missing.every((object) => damaged.has(object))) continue
    const reason = record ? `it names what is not there: ${missing.join(', ')}` : 'it is not a record'
    damage.push({ kind: 'record', key, reason, stages: record ? [record.stage] : [] })
  }
  return { count: keys.length, damage }
}

async function verifyTrees(store: Store, signal: AbortSignal | undefined): Promise<Looked> {
  const keys = await treeKeys(store)
  const damage: Damage[] = []
  for (const key of keys) {
    signal?.throwIfAborted()
    const tree = store.treePath(key)
    if (await isSealed(tree)) continue
    const taken = await store.scratchPath('damaged')
    await ifThere(rename(tree, taken))
    await removeScratch(taken)
    damage.push({ kind: 'tree', key, reason: 'its files are not those that were unpacked', stages: [] })
  }
  return { count: keys.length, damage }
}
