/**
 * The image: finished payloads at their places, and the manifest that is published beside it.
 *
 * It is no object of the store, but written where it will be.
 */

import { readFile } from 'node:fs/promises'
import { basename } from 'node:path'
import type { Json, Sha256 } from '../base/digests.js'
import { step } from '../base/progress.js'
import { type Bytes, SECTOR } from '../base/units.js'
import type { StickPlan } from '../stick/definition.js'
import { type Layout, layoutStick } from '../stick/layout.js'
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
import type { Workplace } from '../store/workplace.js'
import { assembleImage } from './assemble.js'

export type { Manifest } from '../stick/manifest.js'

/** The stages whose results the image is put together from. */
export type ImageParts = Record<Part, Stage>
type Part = 'loader' | 'esp' | 'root' | 'settings' | 'library'

/** Which object of which part each payload is. */
export const PAYLOADS: Readonly<Record<PayloadName, readonly [part: Part, object: string]>> = {
  biosBoot: ['loader', 'core'],
  esp: ['esp', 'esp'],
  root: ['root', 'root'],
  settings: ['settings', 'settings'],
  library: ['library', 'library'],
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
  /** The base image of each guest. */
  bases: Record<string, StageResult>
  /** Secrets are on it: only the builder's user may read it. */
  isPrivate: boolean
}

/** Assembles the image at `path`. The answer is its manifest, which is not written here. */
export async function writeImage(
  request: ImageRequest,
  read: Record<Part, StageResult>,
  path: string,
  place: Workplace,
): Promise<Manifest> {
  const { plan, identity, isPrivate } = request
  const payload = (name: PayloadName) => objectOf(read[PAYLOADS[name][0]], PAYLOADS[name][1])
  const payloads = {
    biosBoot: payload('biosBoot'),
    esp: payload('esp'),
    root: payload('root'),
    settings: payload('settings'),
    library: payload('library'),
  }
  const layout = layoutStick(plan.stick, plan.name, payloads)
  const bootImage = objectOf(read.loader, 'boot').path
  const { name: stage, title } = identity
  const { biosBoot: _, ...copied } = payloads
  const total = Object.values(copied).reduce((sum, { size }) => sum + size, 0)
  let done = 0
  const onBytes = (bytes: Bytes) => {
    done += bytes
    place.progress({ kind: 'bytes', stage, done, total })
  }
  const parts = { layout, stick: plan.stick, bootImage, payloads, isPrivate }
  await step(place.progress, { stage, title }, () => assembleImage(parts, path, onBytes, place.signal))
  return fullManifest(request, read, layout, path)
}

async function fullManifest(
  { identity, manifest, tools, bases }: ImageRequest,
  read: Record<Part, StageResult>,
  layout: Layout,
  path: string,
): Promise<Manifest> {
  const guests = Object.entries(bases).map(async ([name, base]) => [name, await packagesOf(base)] as const)
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
    packages: { host: await packagesOf(read.root), guests: Object.fromEntries(await Promise.all(guests)) },
    tools,
    key: identity.key,
  }
}

/** dpkg's own list; empty where the stage has none. */
async function packagesOf({ objects }: StageResult): Promise<ManifestPackage[]> {
  const list = objects['packages']
  return list ? parsePackages(await readFile(list.path, 'utf8')) : []
}
