/**
 * The image: finished payloads at their places, and the manifest that is published beside it.
 *
 * It is no object of the store, but written where it will be.
 */

import { readFile } from 'node:fs/promises'
import { basename } from 'node:path'
import type { Json, Sha256 } from '../base/digests.js'
import { step } from '../base/progress.js'
import type { ToolRunner } from '../base/tool.js'
import { type Bytes, SECTOR } from '../base/units.js'
import { libraryFacts } from '../guest/library.js'
import type { StickPlan } from '../stick/definition.js'
import { type LaidPayload, type Layout, layoutStick, type Payloads } from '../stick/layout.js'
import { type Manifest, type ManifestPackage, parsePackages, type StickManifest } from '../stick/manifest.js'
import type { PayloadName } from '../stick/partitions.js'
import {
  objectOf,
  payloadOf,
  type Stage,
  type StageIdentity,
  type StageResult,
  stageKey,
} from '../store/stage.js'
import type { StageRecord } from '../store/store.js'
import type { Workplace } from '../store/workplace.js'
import { assembleImage } from './assemble.js'
import type { LibraryParts } from './library.js'

export type { Manifest, ManifestPackage } from '../stick/manifest.js'

/** The stages whose results the image is put together from. */
export type ImageParts = Record<Part, Stage>
type Part = 'loader' | 'esp' | 'root' | 'settings' | 'library'

/** Which object of which part each payload is; the library is none. */
export const PAYLOADS: Readonly<Record<PayloadName, readonly [part: Part, object: string]>> = {
  biosBoot: ['loader', 'core'],
  esp: ['esp', 'esp'],
  root: ['root', 'root'],
  settings: ['settings', 'settings'],
  library: ['library', 'library'],
}

/** A payload as the layout knows it, of what a stage left behind; undefined where that has no such object. */
export function laidPayload(
  name: PayloadName,
  { objects, facts }: Pick<StageRecord, 'objects' | 'facts'>,
): LaidPayload | undefined {
  if (name === 'library') {
    const { rootHash, size } = libraryFacts({ facts })
    return { digest: rootHash, size }
  }
  const object = objects[PAYLOADS[name][1]]
  return object && { digest: object.sha256, size: object.size }
}

/** Of the plan, what decides the layout. */
export interface PlannedImage {
  name: string
  stick: StickPlan
}

/** What the image is made of, and its key. */
export function imageIdentity(
  { name, stick }: PlannedImage,
  reads: ImageParts,
  programOf: (module: string) => Sha256,
): StageIdentity {
  const inputs = { name, stick: stick as unknown as Json }
  const parts = { name: 'image', inputs, program: programOf('image/image'), reads }
  return { ...parts, title: 'assemble the image', key: stageKey(parts) }
}

export interface ImageRequest {
  identity: StageIdentity
  plan: PlannedImage
  /** As it is on the ESP. */
  manifest: StickManifest
  /** The packages of the tools that made the bytes. */
  tools: ManifestPackage[]
  /** What each guest's root is made of; empty where nobody knows. */
  packages: Record<string, ManifestPackage[]>
  library: Pick<LibraryParts, 'bases' | 'leaves'>
  /** Secrets are on it: only the builder's user may read it. */
  isPrivate: boolean
}

/** Assembles the image at `path`. The answer is its manifest, which is not written here. */
export async function writeImage(
  request: ImageRequest,
  read: Record<Part, StageResult>,
  path: string,
  place: Workplace,
  runner: ToolRunner,
): Promise<Manifest> {
  const { plan, identity, isPrivate } = request
  const layout = layoutStick(plan.stick, plan.name, laidPayloads(read))
  const { name: stage, title } = identity
  const payloads = {
    biosBoot: objectOf(read.loader, 'core').path,
    esp: objectOf(read.esp, 'esp').path,
    root: objectOf(read.root, 'root').path,
    settings: objectOf(read.settings, 'settings').path,
  }
  const facts = libraryFacts(read.library)
  const library = { ...request.library, facts, head: objectOf(read.library, 'head').path }
  const total = layout.partitions.reduce((sum, { used }) => sum + used, 0)
  let done = 0
  const onBytes = (bytes: Bytes) => {
    done += bytes
    place.progress({ kind: 'bytes', stage, done, total })
  }
  const bootImage = objectOf(read.loader, 'boot').path
  const parts = { layout, stick: plan.stick, bootImage, payloads, library, isPrivate }
  await step(place.progress, { stage, title }, () => assembleImage(parts, path, onBytes, place, runner))
  return fullManifest(request, read, layout, path)
}

function laidPayloads(read: Record<Part, StageResult>): Payloads {
  const laid = (name: PayloadName) => {
    const found = laidPayload(name, read[PAYLOADS[name][0]])
    if (!found) throw new Error(`BUG: there is no payload ${name}`)
    return found
  }
  return {
    biosBoot: laid('biosBoot'),
    esp: laid('esp'),
    root: laid('root'),
    settings: laid('settings'),
    library: laid('library'),
  }
}

async function fullManifest(
  { identity, manifest, tools, packages }: ImageRequest,
  read: Record<Part, StageResult>,
  layout: Layout,
  path: string,
): Promise<Manifest> {
  return {
    ...manifest,
    image: { file: basename(path), size: layout.sectors * SECTOR, smallestStick: layout.smallestStick },
    layout,
    payloads: {
      biosBoot: payloadOf(read.loader, 'core'),
      esp: payloadOf(read.esp, 'esp'),
      root: payloadOf(read.root, 'root'),
      settings: payloadOf(read.settings, 'settings'),
      library: manifest.library,
    },
    packages: { host: await packagesOf(read.root), guests: packages },
    tools,
    key: identity.key,
  }
}

/** dpkg's own list; empty where the stage has none. */
export async function packagesOf({ objects }: StageResult): Promise<ManifestPackage[]> {
  const list = objects['packages']
  return list ? parsePackages(await readFile(list.path, 'utf8')) : []
}
