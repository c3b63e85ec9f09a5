/**
 * The build: a prepared plan becomes payloads in the store, a layout, and one image with its manifest.
 */
import { readFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { sha256 } from '../base/digests.js'
import type { Problem } from '../base/errors.js'
import { onDisk } from '../base/file-errors.js'
import { makeFolder } from '../base/make-folder.js'
import { removeScratch } from '../base/namespace.js'
import { checkOut } from '../base/writable.js'
import { manifestOf, stickFacts } from '../host/esp.js'
import { type Manifest, type ManifestPackage, packagesOf, writeImage } from '../image/image.js'
import type { BaseBytes } from '../image/library.js'
import { placed } from '../prepare/locate.js'
import { type Prepared, type PrepareRequest, packingTools } from '../prepare/prepare.js'
import { type Base, type BaseFile, leavesOf } from '../sources/base.js'
import { sourceStage } from '../sources/sources.js'
import { pruneStore } from '../store/prune.js'
import { objectOf, type Stage, type StageIdentity, type StageResult } from '../store/stage.js'
import { replaceFile, type Store, storeLimit } from '../store/store.js'
import { fileStamp } from '../store/unchanged.js'
import type { Workplace } from '../store/workplace.js'
import { type Explanation, explain, lastInputs, rememberInputs, spellOut } from './explain.js'
import { type PlannedBuild, planBuild } from './plan-build.js'
import { makeResults, type Results } from './results.js'
import { checkSpace } from './space.js'
import { imageParts, type Stages, stageList } from './stages.js'

export interface BuildRequest extends PrepareRequest {
  /** Folder for the image and its manifest. */
  out: string
  /** Say which stages ran, and why. */
  explain?: boolean
}

export interface BuildResult {
  /** What it was built from. */
  prepared: Prepared
  image: string
  manifestFile: string
  manifest: Manifest
  lockFile: string
  /** True when the lock was made now. */
  lockMade: boolean
  warnings: Problem[]
  /** True when the image was there already, made from the same inputs. */
  unchanged: boolean
  /** True when another manifest, or none, lay there before: what was published of it is outdated. */
  isOther: boolean
  /** Every stage in the order of a build, where the request asked for it. */
  explanations: Explanation[] | null
}

/**
 * Builds the image of a profile, and prunes the store where `$KEYVISOR_STORE_LIMIT` asks for it. Throws KeyvisorError;
 * nothing half-written is left under a final name.
 */
export async function buildImage(request: BuildRequest, place: Workplace): Promise<BuildResult> {
  const limit = storeLimit()
  const result = await onDisk(
    'build the image',
    () => place.store.leased(() => build(request, place)),
    place.store.folder,
  )
  if (limit !== undefined) await pruneStore(place.store, { maxSize: limit })
  return result
}

async function build(request: BuildRequest, place: Workplace): Promise<BuildResult> {
  await removeScratch(...(await place.store.staleScratch()))
  const out = resolve(request.out)
  await checkOut(out)
  const prepared = await planBuild(request, place)
  await makeFolder(out)
  const image = join(out, `${prepared.plan.name}.img`)
  const manifestFile = join(out, `${prepared.plan.name}.manifest.json`)
  const { stages, lockFile, lockMade, warnings } = prepared
  const inputs = spellOut(stages)
  const before = request.explain ? await lastInputs(place.store, image) : undefined
  const earlier = await readFile(manifestFile, 'utf8').catch(() => undefined)
  const kept = await unchangedImage(prepared, image, manifestFile, place)
  const reused = kept ? await keepAll(stages, place.store) : new Set<string>()
  const manifest = kept ?? (await makeImage(prepared, image, manifestFile, noting(place, reused)))
  if (!kept) await rememberInputs(place.store, image, inputs)
  const explanations = request.explain ? explain(stages, before, inputs, reused) : null
  const isOther = (await readFile(manifestFile, 'utf8')) !== earlier
  return {
    prepared,
    image,
    manifestFile,
    manifest,
    lockFile,
    lockMade,
    warnings,
    unchanged: kept !== undefined,
    isOther,
    explanations,
  }
}

async function makeImage(
  prepared: PlannedBuild,
  image: string,
  manifestFile: string,
  place: Workplace,
): Promise<Manifest> {
  await checkSpace(prepared, place.store, dirname(image))
  const results = await makeResults(prepared, place).catch(async (error) => {
    throw await placed(error, prepared.profileFile)
  })
  const { title } = prepared.stages.image
  const manifest = await onDisk(title, () => assemble(prepared, results, image, place), image)
  await replaceFile(manifestFile, `${JSON.stringify(manifest, null, 2)}\n`)
  await rememberImage(prepared, image, place)
  return manifest
}

async function assemble(
  planned: PlannedBuild,
  results: Results,
  image: string,
  place: Workplace,
): Promise<Manifest> {
  const { plan, stages, isPrivate } = planned
  const request = {
    identity: stages.image,
    plan,
    manifest: manifestOf(stickFacts(planned), mapped(stages.esp.reads, results)),
    tools: packingTools(planned).packages,
    packages: await guestPackages(planned, results),
    library: {
      bases: Object.values(stages.bases).map((base) => baseBytes(base, results)),
      leaves: (base: BaseFile) => leavesOf(base, place),
    },
    isPrivate,
  }
  return writeImage(request, mapped(imageParts(stages), results), image, place, results.tools)
}

/** Of each guest's first disk. */
async function guestPackages(
  { plan, stages }: PlannedBuild,
  results: Results,
): Promise<Record<string, ManifestPackage[]>> {
  const packages = plan.guests.map(async (guest): Promise<[string, ManifestPackage[]]> => {
    const base = stages.bases[sourceStage(guest)] as Base
    return [guest.name, base.kind === 'made' ? await packagesOf(results.of(base.stage)) : []]
  })
  return Object.fromEntries(await Promise.all(packages))
}

function baseBytes(base: Base, results: Results): BaseBytes {
  if (base.kind === 'given') return base.file
  return { ...objectOf(results.of(base.stage), 'disk'), format: null }
}

function mapped<Name extends string>(
  stages: Record<Name, Stage>,
  results: Results,
): Record<Name, StageResult> {
  const entries = Object.entries<Stage>(stages).map(([name, stage]) => [name, results.of(stage)])
  return Object.fromEntries(entries) as Record<Name, StageResult>
}

/** Names of all stages, each of which this build has used, though it ran none. */
async function keepAll(stages: Stages, store: Store): Promise<Set<string>> {
  const all = stageList(stages)
  for (const { key } of all) await store.touchRecord(key)
  return new Set(all.map(({ name }) => name))
}

/** The same run, which also notes the stages whose results the store had. */
function noting(place: Workplace, reused: Set<string>): Workplace {
  return {
    ...place,
    progress(event) {
      if (event.kind === 'end' && event.reused) reused.add(event.stage)
      place.progress(event)
    },
  }
}

// ------------------------------------------------------------------------------------------ nothing to do

/** The manifest of an image that is there already and was made from the same inputs. */
async function unchangedImage(
  { stages }: PlannedBuild,
  image: string,
  manifestFile: string,
  place: Workplace,
): Promise<Manifest | undefined> {
  const record = await place.store.readRecord(imageRecordKey(stages.image, image))
  if (!record || record.facts['stamp'] !== (await fileStamp(image))) return undefined
  const manifest = await readManifest(manifestFile)
  return manifest?.key === stages.image.key ? manifest : undefined
}

/** Undefined when there is none, or when it is damaged: then it is written anew. */
async function readManifest(path: string): Promise<Manifest | undefined> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as Manifest
  } catch {
    return undefined
  }
}

async function rememberImage({ stages }: PlannedBuild, image: string, place: Workplace): Promise<void> {
  const stamp = await fileStamp(image)
  await place.store.writeRecord(imageRecordKey(stages.image, image), {
    stage: '',
    objects: {},
    facts: { stamp: stamp ?? null },
  })
}

function imageRecordKey(stage: StageIdentity, image: string): string {
  return sha256(`image ${stage.key} at ${image}`)
}
