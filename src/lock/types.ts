/**
 * The Lock: every outside input, pinned. It lies beside the profile as `PROFILE.lock.json`.
 *
 * Types only.
 */
import type { Bytes } from '../base/units.js'
import type { LockedPackage, PackageRequest } from '../debian/types.js'

/** Every outside input, pinned. Written beside the profile as `PROFILE.lock.json`. */
export interface Lock {
  version: 1
  /** SOURCE_DATE_EPOCH of the build: seconds, the date of the newest package index used. */
  epoch: number
  /** Digest of the requests that the lock answers: a lock that does not fit its profile is refused. */
  requests: string
  /** The packages that were asked for, by the name of the set: what the lock answers. Empty in locks that do not say. */
  asked: PackageRequest[]
  /** Lines of sources.list(5) of each suite: where the packages were found, and where guests find theirs later. */
  sources: Record<string, string[]>
  /** Every package of any set, by `name_version_architecture`. */
  packages: Record<string, LockedPackage>
  /** Ids of the packages of each set, sorted. */
  sets: Record<string, string[]>
  /** Guest images that the profile names, by guest. */
  images: Record<string, { sha256: string; size: Bytes }>
}
