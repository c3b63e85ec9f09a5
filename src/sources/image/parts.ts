/**
 * Images in parts: one digest for all of their files.
 */
import { canonicalJson, type Json, type Sha256, sha256 } from '../../base/digests.js'

/** @param parts name and digest of each, in the image's order */
export function digestOfParts(parts: readonly [string, Sha256][]): Sha256 {
  return sha256(canonicalJson(parts as unknown as Json))
}
