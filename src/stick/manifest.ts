/**
 * The manifest: what is on an image, for people and programs. A part of it travels on the stick itself.
 */

import type { Firmware } from '../arch/architecture.js'
import type { Sha256 } from '../base/digests.js'
import type { Bytes } from '../base/units.js'
import type { GuestDefinition } from '../guest/definition.js'
import type { Layout } from './layout.js'

export interface ManifestPayload {
  sha256: Sha256
  size: Bytes
  rootHash: string
}

export interface ManifestPackage {
  name: string
  version: string
  architecture: string
}

/** What the ESP carries at `/keyvisor/manifest.json`: all that is known before the ESP itself is packed. */
export interface StickManifest {
  version: 1
  name: string
  /** Version of Keyvisor that built it. */
  builder: string
  /** SOURCE_DATE_EPOCH, seconds. */
  epoch: number
  /** What the data partition needs at least: with it, the image itself tells the smallest stick. */
  dataMinimum: Bytes
  /** Kinds of PC firmware that can start it. */
  firmware: readonly Firmware[]
  host: { suite: string; hostname: string; admin: string; keys: number }
  guests: ManifestGuest[]
  root: ManifestPayload
  library: ManifestPayload
}

export type ManifestGuest = Pick<
  GuestDefinition,
  'name' | 'uuid' | 'firmware' | 'changes' | 'autostart' | 'cpus' | 'memory' | 'ports' | 'ready'
> & { base: Sha256 }

/** The same before any bytes are made. */
export type StickFacts = Omit<StickManifest, 'root' | 'library' | 'guests'> & {
  guests: Omit<ManifestGuest, 'base'>[]
}

/** @param bases digest of each guest's base image, by its name */
export function stickManifest(
  facts: StickFacts,
  { root, library }: Pick<StickManifest, 'root' | 'library'>,
  bases: ReadonlyMap<string, Sha256>,
): StickManifest {
  const guests = facts.guests.map((guest) => ({
    ...guest,
    base: bases.get(guest.name) ?? missing(guest.name),
  }))
  return { ...facts, guests, root, library }
}

function missing(guest: string): never {
  throw new Error(`BUG: guest ${guest} has no base image`)
}

/** `NAME.manifest.json`, beside the image. Its schema: `schemas/manifest.schema.json`. */
export interface Manifest extends StickManifest {
  image: { file: string; size: Bytes; smallestStick: Bytes }
  layout: Layout
  payloads: Record<string, ManifestPayload>
  /** dpkg's own list of each root. */
  packages: { host: ManifestPackage[]; guests: Record<string, ManifestPackage[]> }
  /** The packages of the tools that made the bytes; empty where they were the builder's own. */
  tools: ManifestPackage[]
  /** Key of the whole build: equal keys mean equal images. */
  key: Sha256
}

/** Lines of `name version architecture`, as dpkg-query prints them. */
export function parsePackages(text: string): ManifestPackage[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const [name = '', version = '', architecture = ''] = line.split(' ')
      return { name, version, architecture }
    })
}
