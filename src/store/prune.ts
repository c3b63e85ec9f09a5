/**
 * Pruning: a store gets smaller, the least recently used first, while builds go on.
 *
 * No build waits for it, and it waits for none. What was used since the oldest lease began is in use, and stays. A use
 * that begins meanwhile changes a thing's time first: so a thing is moved out of the way, looked at again, and put back
 * where its time has changed. A build that misses a thing makes it anew. A prune that is killed leaves scratch.
 */
import { rename, stat } from 'node:fs/promises'
import type { Sha256 } from '../base/digests.js'
import { ifThere } from '../base/file-errors.js'
import { removeScratch } from '../base/namespace.js'
import type { Bytes } from '../base/units.js'
import { readContents, type StoreContents, type StoreEntry } from './inventory.js'
import { treeDigestFile } from './seal.js'
import type { Store } from './store.js'

export interface PruneRequest {
  /** Removes until the store takes no more than this on the disk. */
  maxSize?: Bytes
  /** Removes what was not used for so many seconds. */
  olderThan?: number
}

export interface Pruned {
  removed: StoreEntry[]
  /** What the store takes on the disk now. */
  total: Bytes
  /** True when the request asked for more, and what is left is in use. */
  inUse: boolean
}

/** Also removes what killed builds left behind. `now` in milliseconds since 1970. */
export async function pruneStore(
  store: Store,
  request: PruneRequest,
  now: number = Date.now(),
): Promise<Pruned> {
  await removeScratch(...(await store.staleScratch()))
  const contents = await readContents(store)
  // Asked for behind the times: who begins now changes the time of what it uses.
  const since = await store.leasedSince()
  const oldest = request.olderThan === undefined ? 0 : now - request.olderThan * 1000
  const most = request.maxSize ?? Number.POSITIVE_INFINITY
  const uses = countUses(contents)
  const removed: StoreEntry[] = []
  let { total } = contents
  let inUse = false
  for (const entry of contents.entries) {
    if (entry.lastUse >= oldest && total <= most) continue
    const freed = isInUse(entry, contents, uses, since)
      ? undefined
      : await removeEntry(store, entry, contents, uses)
    if (freed === undefined) inUse = true
    else {
      total -= freed
      removed.push(entry)
    }
  }
  return { removed, total, inUse }
}

/** How many records name each object. */
function countUses({ entries }: StoreContents): Map<Sha256, number> {
  const uses = new Map<Sha256, number>()
  for (const { kind, objects } of entries) {
    if (kind === 'stage') for (const key of objects) uses.set(key, (uses.get(key) ?? 0) + 1)
  }
  return uses
}

function isInUse(
  { lastUse, objects }: StoreEntry,
  contents: StoreContents,
  uses: Map<Sha256, number>,
  since: number,
): boolean {
  if (lastUse >= since) return true
  // A build that was killed between a stage's objects and its record has them still.
  return objects.some(
    (key) => (uses.get(key) ?? 0) <= 1 && (contents.objects.get(key)?.lastUse ?? 0) >= since,
  )
}

/** The answer is what became free; undefined when it came into use. The record goes first: one never names an object that was pruned. */
async function removeEntry(
  store: Store,
  entry: StoreEntry,
  { objects }: StoreContents,
  uses: Map<Sha256, number>,
): Promise<Bytes | undefined> {
  const { kind, key, lastUse, size } = entry
  if (kind === 'tree')
    return (await take(store, store.treePath(key), lastUse, treeDigestFile)) ? size : undefined
  if (kind === 'object') return (await take(store, store.objectPath(key), lastUse)) ? size : undefined
  if (!(await take(store, store.recordPath(key), lastUse))) return undefined
  if (kind === 'note') return size
  let freed = 0
  for (const object of entry.objects) {
    const left = (uses.get(object) ?? 1) - 1
    uses.set(object, left)
    const found = objects.get(object)
    if (left === 0 && found && (await take(store, store.objectPath(object), found.lastUse)))
      freed += found.size
  }
  return freed
}

/**
 * Removes a thing that was used last at `lastUse`; false when it was used since. `timed` names the file whose mtime
 * that is.
 */
async function take(
  store: Store,
  path: string,
  lastUse: number,
  timed: (path: string) => string = (path) => path,
): Promise<boolean> {
  const isUnused = async (place: string) => ((await timeOf(timed(place))) ?? lastUse) <= lastUse
  if (!(await isUnused(path))) return false
  const taken = await store.scratchPath('pruned')
  const isTaken = await ifThere(rename(path, taken).then(() => true))
  if (!isTaken) return false // Another prune was quicker.
  const isFree = await isUnused(taken)
  // Whoever made it anew in the meantime has made the same.
  if (!isFree) await rename(taken, path).catch(() => {})
  await removeScratch(taken)
  return isFree
}

async function timeOf(path: string): Promise<number | undefined> {
  return (await ifThere(stat(path)))?.mtimeMs
}
