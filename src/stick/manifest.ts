/**
 * The manifest: what is on an image, for people and programs. A part of it travels on the stick itself.
 */

import type { ArchitectureName, Firmware } from '../arch/architecture.js'
import type { Sha256 } from '../base/digests.js'
import type { Bytes } from '../base/units.js'
import type { Guest } from '../guest/definition.js'
import { basesOf, onBase } from '../guest/drives.js'
import type { Layout } from './layout.js'
import type { HostSlot } from './partitions.js'

export interface ManifestPayload {
  sha256: Sha256
  size: Bytes
  rootHash: string
}

/** A library is known by its root hash, which covers all of it. */
export type ManifestLibrary = Omit<ManifestPayload, 'sha256'>

export interface ManifestPackage {
  name: string
  version: string
  architecture: string
}

/** 4: the library is known by its root hash. 3: slots, and an architecture. 2: a guest has drives and hardware; 1 named one base image a guest. */
export const MANIFEST_VERSION = 4

/** What the ESP carries at `/keyvisor/manifest.json`: all that is known before the ESP itself is packed. */
export interface StickManifest {
  version: typeof MANIFEST_VERSION
  name: string
  /** Version of Keyvisor that built it. */
  builder: string
  /** SOURCE_DATE_EPOCH, seconds. */
  epoch: number
  /** What the data partition needs at least: with it, the image itself tells the smallest stick. */
  dataMinimum: Bytes
  /** Of the PCs that it is for. */
  architecture: ArchitectureName
  /** Kinds of PC firmware that can start it. */
  firmware: readonly Firmware[]
  host: { suite: string; hostname: string; admin: string; keys: number }
  guests: ManifestGuest[]
  /** The host in each slot; null: none. */
  slots: Record<HostSlot, ManifestPayload | null>
  library: ManifestLibrary
}

/** Bases are known by their digests. */
export type ManifestGuest<Base = Sha256> = Pick<
  Guest<Base>,
  'name' | 'uuid' | 'hardware' | 'changes' | 'autostart' | 'cpus' | 'memory' | 'drives' | 'ports' | 'ready'
>

/** The same before any bytes are made: bases are known by the stages that make them. */
export type StickFacts = Omit<StickManifest, 'slots' | 'library' | 'guests'> & {
  guests: ManifestGuest<string>[]
}

/** @param digestOf digest of the base that a stage made */
export function stickManifest(
  facts: StickFacts,
  { slots, library }: Pick<StickManifest, 'slots' | 'library'>,
  digestOf: (stage: string) => Sha256,
): StickManifest {
  const guests = facts.guests.map((guest) => ({
    ...guest,
    drives: guest.drives.map((drive) => onBase(drive, digestOf)),
  }))
  return { ...facts, guests, slots, library }
}

/** Digests of a guest's bases, that of its first disk before the others'. */
export function guestBases(guest: Pick<ManifestGuest, 'drives'>): Sha256[] {
  return basesOf([guest])
}

/** Why a manifest that came from outside cannot be read; undefined where it is of this version, or names none. */
export function otherVersion(manifest: unknown): string | undefined {
  const { version } = (manifest ?? {}) as { version?: unknown }
  if (version === MANIFEST_VERSION || !Number.isSafeInteger(version)) return undefined
  return `is of version ${version}, and this Keyvisor reads version ${MANIFEST_VERSION}`
}

/** `NAME.manifest.json`, beside the image. Its schema: `schemas/manifest.schema.json`. */
export interface Manifest extends StickManifest {
  image: { file: string; size: Bytes; smallestStick: Bytes }
  layout: Layout
  payloads: Record<string, ManifestPayload | ManifestLibrary>
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
