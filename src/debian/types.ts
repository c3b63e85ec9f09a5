/**
 * Packages, and files of a user's, as all rooms name them.
 *
 * Types only.
 */
import type { Bytes } from '../base/units.js'

/** One Debian package, pinned. */
export interface LockedPackage {
  name: string
  version: string
  architecture: string
  sha256: string
  /** Size of the .deb. */
  size: Bytes
  /** Path below an archive's root, as the index has it (`Filename`). */
  filename: string
  /** The whole index stanza, so that a local archive can be written without network. */
  stanza: string
}

/** A set of packages that is resolved together: a tools tree, the host, or the tree of a guest. */
export interface PackageRequest {
  /** `tools.pack`, `tools.publish`, `tools.lab`, `tools.check`, `host`, or `guest.NAME`. */
  set: string
  suite: string
  /** As Debian calls it. */
  architecture: string
  /** Sorted names of the packages asked for; their dependencies come with them. */
  packages: string[]
  /** Component of the archive that they come from beside `main`, where they do. */
  component?: string
}

/** A file of the user's that goes into a root. */
export interface PlannedFile {
  /** Absolute path on the builder. */
  source: string
  /** Absolute path in the root. */
  target: string
  /** Permission bits. */
  mode: number
  /** `user:group`, as names or numbers in the root. */
  owner: string
}
