/**
 * Artifacts that are there already: a file is made again only when it was touched, or is to be made from other inputs.
 */
import { canonicalJson, type Json, type Sha256, sha256, sha256File } from '../base/digests.js'
import type { Bytes } from '../base/units.js'
import type { Store } from '../store/store.js'
import { fileStamp } from '../store/unchanged.js'

/** A published file. */
export interface Artifact {
  path: string
  sha256: Sha256
  size: Bytes
}

/** The artifact at `path` when it is there, untouched, and was made from these inputs. */
export async function keptArtifact(path: string, inputs: Json, store: Store): Promise<Artifact | undefined> {
  const facts = (await store.readRecord(recordKey(path, inputs)))?.facts
  if (!facts || facts['stamp'] !== (await fileStamp(path))) return undefined
  return { path, sha256: facts['sha256'] as Sha256, size: facts['size'] as Bytes }
}

/** Remembers a finished file, with its digest where that is known already. */
export async function rememberArtifact(
  path: string,
  inputs: Json,
  store: Store,
  known?: { sha256: Sha256; size: Bytes },
): Promise<Artifact> {
  const { sha256, size } = known ?? (await sha256File(path))
  const stamp = (await fileStamp(path)) ?? null
  await store.writeRecord(recordKey(path, inputs), { stage: '', objects: {}, facts: { stamp, sha256, size } })
  return { path, sha256, size }
}

function recordKey(path: string, inputs: Json): Sha256 {
  return sha256(canonicalJson({ artifact: path, inputs }))
}
