/**
 * Locks made by hand, of packages that no archive has: what a lock answers needs no network to be tested.
 */
import { sha256 } from '../../src/base/digests.js'
import type { LockedPackage } from '../../src/debian/types.js'
import { type LockRequest, withFiles } from '../../src/lock/lock.js'
import type { Lock } from '../../src/lock/types.js'
import type { Workplace } from '../../src/store/workplace.js'

/** A package whose .deb has this text. */
export function item(name: string, text: string, version = '1:2'): LockedPackage {
  return {
    name,
    version,
    architecture: 'amd64',
    sha256: sha256(text),
    size: text.length,
    filename: `pool/${name}_2_amd64.deb`,
    stanza: `Package: ${name}\n`,
  }
}

/** A lock with these sets, whose archive has nothing, whatever the network is like. */
export function lockOf(sets: Record<string, LockedPackage[]>): Lock {
  const id = ({ name, version }: LockedPackage) => `${name}_${version}_amd64`
  const all = Object.values(sets).flat()
  return {
    version: 2,
    epoch: 1,
    requests: '',
    asked: [],
    files: {},
    packages: Object.fromEntries(all.map((item) => [id(item), item])),
    sources: { trixie: ['deb file:/nonexistent trixie main'] },
    sets: Object.fromEntries(Object.entries(sets).map(([set, items]) => [set, items.map(id)])),
  }
}

/** A lock that answers a request: every package that is asked for, each of version 1:2, and the images as they are. */
export function answeringLock(request: LockRequest, place: Workplace): Promise<Lock> {
  const sets = request.packages.map(({ set, packages }) => [set, packages.map((name) => item(name, name))])
  const asked = request.packages.toSorted((a, b) => (a.set < b.set ? -1 : 1))
  return withFiles({ ...lockOf(Object.fromEntries(sets)), asked }, request, place)
}
