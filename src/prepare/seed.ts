/**
 * A store for a second build: what a lock pins, and nothing else.
 */
import { dirname } from 'node:path'
import { makeFolder } from '../base/make-folder.js'
import { type DebSource, lockedDebs } from '../lock/fetch.js'
import { Store } from '../store/store.js'
import type { Workplace } from '../store/workplace.js'

/** Links the locked packages into a new store: `folder` is on the file system of the other one. */
export async function seededStore(source: DebSource, folder: string, place: Workplace): Promise<Store> {
  await lockedDebs(source, Object.keys(source.lock.sets), place)
  const store = await Store.open(folder)
  for (const { sha256 } of Object.values(source.lock.packages)) {
    await makeFolder(dirname(store.objectPath(sha256)))
    await place.store.linkObject(sha256, store.objectPath(sha256))
  }
  return store
}
