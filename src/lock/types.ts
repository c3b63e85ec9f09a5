/**
 * The Lock: every outside input, pinned. It lies beside the profile as `PROFILE.lock.json`.
 *
 * Types only.
 */
import type { Bytes } from '../base/units.js'
import type { LockedPackage, PackageRequest } from '../debian/types.js'

/** Every outside input, pinned. Written beside the profile as `PROFILE.lock.json`. */
export interface Lock {
  /** 1 where it was read from a lock of that version: it is written as one of 2. */
  version: 1 | 2
  /** SOURCE_DATE_EPOCH of the build: seconds, the date of the newest package index used. */
  epoch: number
  /** Digest of the requests that the lock answers: a lock that does not fit its profile is refused. */
  requests: string
  /** The packages that were asked for, by the name of the set: what the lock answers. */
  asked: PackageRequest[]
  /** Lines of sources.list(5) of each suite: where the packages were found, and where guests find theirs later. */
  sources: Record<string, string[]>
  /** Every package of any set, by `name_version_architecture`. */
  packages: Record<string, LockedPackage>
  /** Ids of the packages of each set, sorted. */
  sets: Record<string, string[]>
  /** Files that the profile names for the guests' drives, by drive: `guest.NAME/disk0`, `guest.NAME/iso0`. */
  files: Record<string, { sha256: string; size: Bytes }>
}
