/**
 * What is known of a library without its bytes: how it is put together, and by what it is known.
 *
 * Left out: the guests that are in it (`definition.ts`), and how its parts come to their places (`image/library.ts`).
 */
import type { Bytes } from '../base/units.js'

/** What a base is known by, whatever its path. */
export interface Digested {
  sha256: string
  size: Bytes
}

export interface LibraryFacts {
  /** Of the hash tree over all of its file system, hexadecimal. */
  rootHash: string
  /** Where the hash tree begins: behind the file system. */
  offset: Bytes
  /** File system and hash tree. */
  size: Bytes
  /** In the hash tree's superblock. */
  treeUuid: string
  /** The bases, in their order; what stands before the first is the head. */
  files: (Digested & { offset: Bytes })[]
  /** The base of each of the plan's stages. */
  bases: Record<string, Digested>
}

/** Of a stage's facts, which are JSON. */
export function libraryFacts({ facts }: { facts: object }): LibraryFacts {
  return facts as LibraryFacts
}
