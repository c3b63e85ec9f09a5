/**
 * Stamps: whether a file is the one that was looked at before, without reading it again.
 */
import { stat } from 'node:fs/promises'
import { sha256, sha256File } from '../base/digests.js'
import { ifThere } from '../base/file-errors.js'
import type { Bytes } from '../base/units.js'
import type { Store, StoredObject } from './store.js'

/** Changes whenever the file is written to or replaced; undefined when there is none. */
export async function fileStamp(path: string): Promise<string | undefined> {
  const found = await ifThere(stat(path))
  return found && `${found.ino} ${found.size} ${found.mtimeMs} ${found.ctimeMs}`
}

/**
 * Digest and size of an outside image, which may have many GiB: it is read once, and again after it was written to.
 * Rejects with the errors of `fs.createReadStream`.
 */
export async function imageDigest(path: string, store: Store): Promise<Omit<StoredObject, 'path'>> {
  const key = sha256(`digest of ${path}`)
  const stamp = (await fileStamp(path)) ?? null
  const known = (await store.readRecord(key))?.facts
  if (stamp !== null && known?.['stamp'] === stamp) {
    return { sha256: known['sha256'] as string, size: known['size'] as Bytes }
  }
  const found = await sha256File(path)
  await store.writeRecord(key, { stage: '', objects: {}, facts: { stamp, ...found } })
  return found
}
