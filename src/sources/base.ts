/**
 * Bases: the finished bytes that a guest's drives begin with, and what is known of them without another reading.
 *
 * An image of the user's that needs no conversion is its own base: it is read once for its digest and for the digests of
 * its blocks, of which the library's hash tree is put together, and once more when it goes onto an image. Both are
 * remembered: the digest by the file's stamp, those of the blocks by the digest.
 */
import { createHash } from 'node:crypto'
import { type FileHandle, open, stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { type Sha256, sha256 } from '../base/digests.js'
import { onFile } from '../base/file-errors.js'
import { silent, step } from '../base/progress.js'
import { type Bytes, MiB } from '../base/units.js'
import { openUserFile } from '../base/user-file.js'
import type { ImageFormat } from '../disk/image.js'
import { imageFilesOf } from '../disk/image-file.js'
import { CHUNK, readAhead } from '../disk/read-ahead.js'
import { isZeros } from '../disk/sparse.js'
import { verityLeaves } from '../disk/verity.js'
import type { Digested } from '../guest/library.js'
import type { Stage } from '../store/stage.js'
import type { Store, StoredObject } from '../store/store.js'
import { fileStamp, isSettled, openStamp } from '../store/unchanged.js'
import type { Workplace } from '../store/workplace.js'
import { imageChanged } from './image/changed.js'
import { refuseInUse } from './image/in-use.js'
import { digestOfParts } from './image/parts.js'

/** A base before it is there: a stage makes it, or it is a file of the user's as it is. */
export type Base = { kind: 'made'; stage: Stage } | { kind: 'given'; file: GivenFile }

export interface BaseFile extends Digested {
  path: string
}

/** One of the user's. */
interface GivenFile extends BaseFile {
  format: ImageFormat
}

/**
 * Digest and size of a file of the user's, which may have many GiB: it is read once, and again after it was written to.
 * Throws `image-in-use`, and rejects with the errors of open(2) and read(2).
 */
export async function fileDigest(path: string, format: ImageFormat, place: Workplace): Promise<Digested> {
  const files = await imageFilesOf(path, format, path)
  return files.length > 1 ? partsDigest(files, place) : oneDigest(path, format, place)
}

/** Of an image in parts: the description, and the extents beside it, each by its own digest. */
async function partsDigest(files: readonly string[], place: Workplace): Promise<Digested> {
  const parts: [string, Sha256][] = []
  let size = 0
  for (const path of files) {
    const part = await oneDigest(path, 'raw', place)
    parts.push([basename(path), part.sha256])
    size += part.size
  }
  return { sha256: digestOfParts(parts), size }
}

async function oneDigest(path: string, format: ImageFormat, place: Workplace): Promise<Digested> {
  const { store } = place
  const key = sha256(`digest of ${path}`)
  const stamp = (await fileStamp(path)) ?? null
  const known = (await store.readRecord(key))?.facts
  if (stamp !== null && known?.['stamp'] === stamp) {
    await store.touchRecord(key)
    return { sha256: known['sha256'] as string, size: known['size'] as Bytes }
  }
  await refuseInUse(path)
  const { stamp: settled, sha256: digest, size } = await readAloud(path, format, place)
  if (settled !== undefined) {
    await store.writeRecord(key, { stage: '', objects: {}, facts: { stamp: settled, sha256: digest, size } })
  }
  return { sha256: digest, size }
}

/**
 * Path of a base's leaves, as `disk/verity.ts` has them: those of the store, or of one more reading. Throws `image-changed`
 * where that finds other bytes.
 */
export async function leavesOf({ path, ...base }: BaseFile, place: Workplace): Promise<string> {
  const { store } = place
  const record = await store.readRecord(leavesKey(base.sha256))
  const kept = record?.objects['leaves']
  const leaves = kept && (await store.verified(kept.sha256, kept.size))
  if (leaves) {
    await store.touchRecord(leavesKey(base.sha256))
    return leaves.path
  }
  const found = await readBase(path, { ...place, progress: silent }, true)
  if (found.sha256 !== base.sha256 || !found.leaves) throw imageChanged(path)
  return found.leaves.path
}

function leavesKey(base: Sha256): Sha256 {
  return sha256(`leaves of ${base}`)
}

/** In progress events. */
const STAGE = 'read'

interface ReadBase extends Digested {
  stamp: string | undefined
  leaves?: StoredObject
}

/** Files that are read in a moment are no step that somebody waits for. */
const LONG: Bytes = 128 * MiB

async function readAloud(path: string, format: ImageFormat, place: Workplace): ReturnType<typeof readBase> {
  // The others are converted: what they become has leaves of its own.
  const mayBeBase = format === 'qcow2' || format === 'iso'
  const read = (shown: Workplace) => readBase(path, shown, mayBeBase)
  const { size } = await stat(path)
  if (size < LONG) return read({ ...place, progress: silent })
  return step(place.progress, { stage: STAGE, title: `read ${path}` }, () => read(place))
}

/**
 * Reads a file for its digest, and keeps its leaves where it may be a base as it is. The stamp is undefined where the file
 * was written to meanwhile or just before.
 */
function readBase(path: string, place: Workplace, withLeaves: boolean): Promise<ReadBase> {
  const { store } = place
  return store.inScratch('leaves', async (scratch) => {
    const file = await openUserFile(path)
    const leaves = join(scratch, 'leaves')
    try {
      const isStill = await isSettled(file)
      const before = await openStamp(file)
      const digested = await onFile(path, () => readBlocks(file, withLeaves ? leaves : undefined, place))
      const stamp = isStill && (await openStamp(file)) === before ? before : undefined
      if (!withLeaves) return { ...digested, stamp }
      return { ...digested, stamp, leaves: await keepLeaves(digested.sha256, leaves, store) }
    } finally {
      await file.close()
    }
  })
}

async function keepLeaves(base: Sha256, file: string, store: Store): Promise<StoredObject> {
  const kept = await store.add(file)
  const objects = { leaves: { sha256: kept.sha256, size: kept.size } }
  await store.writeRecord(leavesKey(base), { stage: 'leaves', objects, facts: {} })
  return kept
}

async function readBlocks(file: FileHandle, leaves: string | undefined, place: Workplace): Promise<Digested> {
  const hash = createHash('sha256')
  const { size: total } = await file.stat()
  const target = leaves === undefined ? undefined : await open(leaves, 'wx')
  let size = 0
  try {
    for await (const chunk of readAhead(file)) {
      place.signal?.throwIfAborted()
      hash.update(chunk)
      await target?.appendFile(isZeros(chunk) ? zeroLeaves(chunk.length) : verityLeaves(chunk))
      size += chunk.length
      place.progress({ kind: 'bytes', stage: STAGE, done: size, total: Math.max(size, total) })
    }
  } finally {
    await target?.close()
  }
  return { sha256: hash.digest('hex'), size }
}

let zeros: Buffer | undefined

/** Leaves of holes: much of a large file can be one. */
function zeroLeaves(bytes: Bytes): Buffer {
  zeros ??= verityLeaves(Buffer.alloc(CHUNK))
  return bytes === CHUNK ? zeros : verityLeaves(Buffer.alloc(bytes))
}
