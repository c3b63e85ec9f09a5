/**
 * Where the files come from: an in-toto statement with SLSA provenance, of the lock's inputs. It says the same whoever
 * builds and whenever: no clock, no machine.
 *
 * Spec: in-toto Statement v1; SLSA provenance v1. Left out: what only a CI knows of itself (run, account, times).
 */

import { basename } from 'node:path'
import type { Json, Sha256 } from '../base/digests.js'
import { lookUp } from '../base/lookup.js'
import type { Lock } from '../lock/types.js'
import type { Manifest } from '../stick/manifest.js'
import { packageUrl } from './components.js'
import type { Artifact } from './reuse.js'

/** What a build of this type does, and what its parameters mean: docs/artifacts.md. */
const BUILD_TYPE = 'https://keyvisor.example/build/v1'
const BUILDER = 'https://keyvisor.example/keyvisor'

export interface ProvenanceRequest {
  manifest: Manifest
  lock: Lock
  /** The profile and its lock. */
  profile: { path: string; sha256: Sha256 }
  lockFile: { path: string; sha256: Sha256 }
  subjects: Artifact[]
}

export function provenance({ manifest, lock, profile, lockFile, subjects }: ProvenanceRequest): Json {
  return {
    _type: 'https://in-toto.io/Statement/v1',
    subject: subjects.map(described),
    predicateType: 'https://slsa.dev/provenance/v1',
    predicate: {
      buildDefinition: {
        buildType: BUILD_TYPE,
        externalParameters: { profile: described(profile), lock: described(lockFile) },
        internalParameters: { key: manifest.key, epoch: manifest.epoch },
        resolvedDependencies: [...packages(lock), ...files(lock)],
      },
      runDetails: { builder: { id: BUILDER, version: { keyvisor: manifest.builder } } },
    },
  }
}

function described({ path, sha256 }: { path: string; sha256: Sha256 }) {
  return { name: basename(path), digest: { sha256 } }
}

/** Every package of any set once: the tools that made the bytes are inputs as well as what was installed. */
function packages(lock: Lock): Json[] {
  const suites = new Map(lock.asked.map(({ set, suite }) => [set, suite]))
  const uris = new Map<string, Sha256>()
  for (const [set, ids] of Object.entries(lock.sets)) {
    for (const item of ids.flatMap((id) => lookUp(lock.packages, id) ?? [])) {
      uris.set(packageUrl(item, suites.get(set) ?? ''), item.sha256)
    }
  }
  const sorted = [...uris].sort(([a], [b]) => (a < b ? -1 : 1))
  return sorted.map(([uri, sha256]) => ({ uri, digest: { sha256 } }))
}

function files(lock: Lock): Json[] {
  return Object.entries(lock.files).map(([name, { sha256 }]) => ({ name, digest: { sha256 } }))
}
