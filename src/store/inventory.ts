/**
 * What is in a store, for whoever looks at it or prunes it. Reads names, sizes and times, and no object's bytes.
 */

import { lstat, readdir, stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import type { Sha256 } from '../base/digests.js'
import { allocatedBytes } from '../base/disk-usage.js'
import { ifThere } from '../base/file-errors.js'
import { namesBelow } from '../base/list-tree.js'
import type { Bytes } from '../base/units.js'
import { treeDigestFile } from './seal.js'
import type { Store } from './store.js'

/** A thing that is used, and pruned, as a whole. */
export interface StoreEntry {
  /**
   * `stage`: a stage's record and its objects; `object`: one that no record names, such as a Debian package; `tree`: an
   * unpacked tools tree; `note`: a record without objects, such as what the last build was made of.
   */
  kind: 'stage' | 'object' | 'tree' | 'note'
  /** Key of the record or tree, digest of the object. */
  key: Sha256
  /** Name of the stage; empty where there is none. */
  stage: string
  /** The objects that it names. */
  objects: Sha256[]
  /** Milliseconds since 1970. */
  lastUse: number
  /** What it takes on the disk. An object that two stages share counts for both. */
  size: Bytes
}

export interface StoreContents {
  folder: string
  /** The least recently used first. */
  entries: StoreEntry[]
  /** What each object takes on the disk, and when it was used last. */
  objects: Map<Sha256, Found>
  /** What all of it takes on the disk; an object counts once. */
  total: Bytes
  /** Left by builds that were killed; the next build removes it. */
  stale: string[]
}

/** Size on the disk, and the time of the last use. */
interface Found {
  size: Bytes
  lastUse: number
}

export async function readContents(store: Store): Promise<StoreContents> {
  const objects = await foundObjects(store)
  const records = await recordEntries(store, objects)
  const named = new Set(records.flatMap((entry) => entry.objects))
  const loose = [...objects].flatMap(([key, found]): StoreEntry[] =>
    named.has(key) ? [] : [{ kind: 'object', key, stage: '', objects: [key], ...found }],
  )
  const trees = await treeEntries(store)
  const alone = [...objects.values(), ...trees, ...records.filter(({ kind }) => kind === 'note')]
  return {
    folder: store.folder,
    entries: [...records, ...loose, ...trees].sort((a, b) => a.lastUse - b.lastUse),
    objects,
    total: alone.reduce((sum, { size }) => sum + size, 0),
    stale: await store.staleScratch(),
  }
}

async function foundObjects(store: Store): Promise<Map<Sha256, Found>> {
  const objects = new Map<Sha256, Found>()
  for (const path of await objectPaths(store)) {
    const found = await lookAt(path)
    if (found) objects.set(basename(path), found)
  }
  return objects
}

/** Every file below `objects/`, whatever its name. */
export async function objectPaths(store: Store): Promise<string[]> {
  const found = await readdir(join(store.folder, 'objects'), { recursive: true, withFileTypes: true })
  return found.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
}

/** The keys of all records, damaged ones among them. */
export async function recordKeys(store: Store): Promise<Sha256[]> {
  const names = await readdir(join(store.folder, 'records'))
  return names.filter((name) => name.endsWith('.json')).map((name) => basename(name, '.json'))
}

async function recordEntries(store: Store, objects: Map<Sha256, Found>): Promise<StoreEntry[]> {
  const entries = await Promise.all(
    (await recordKeys(store)).map(async (key): Promise<StoreEntry[]> => {
      const [found, record] = [await lookAt(store.recordPath(key)), await store.readRecord(key)]
      if (!found || !record) return []
      const { stage } = record
      const names = [...new Set(Object.values(record.objects).map(({ sha256 }) => sha256))]
      const size = names.reduce((sum, name) => sum + (objects.get(name)?.size ?? 0), found.size)
      const kind = names.length > 0 ? 'stage' : 'note'
      return [{ kind, key, stage, objects: names, lastUse: found.lastUse, size }]
    }),
  )
  return entries.flat()
}

export async function treeKeys(store: Store): Promise<Sha256[]> {
  return readdir(join(store.folder, 'trees'))
}

async function treeEntries(store: Store): Promise<StoreEntry[]> {
  const entries = await Promise.all(
    (await treeKeys(store)).map(async (key): Promise<StoreEntry[]> => {
      const tree = store.treePath(key)
      const used = (await lookAt(treeDigestFile(tree))) ?? (await lookAt(tree))
      if (!used) return []
      return [
        {
          kind: 'tree',
          key,
          stage: '',
          objects: [],
          lastUse: used.lastUse,
          size: await folderSize(tree),
        },
      ]
    }),
  )
  return entries.flat()
}

/** A file that has several names in the tree counts once. */
async function folderSize(folder: string): Promise<Bytes> {
  const sizes = new Map<number, Bytes>()
  for (const name of (await ifThere(namesBelow(folder))) ?? []) {
    const found = await ifThere(lstat(join(folder, name)))
    if (found) sizes.set(found.ino, allocatedBytes(found))
  }
  return [...sizes.values()].reduce((sum, size) => sum + size, 0)
}

/** Undefined when it is gone: other builds are at work. */
async function lookAt(path: string): Promise<Found | undefined> {
  const found = await ifThere(stat(path))
  return found && { size: allocatedBytes(found), lastUse: found.mtimeMs }
}
