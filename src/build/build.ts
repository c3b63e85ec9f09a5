/**
 * The build: a prepared plan becomes payloads in the store, a layout, and one image with its manifest.
 */
import { readFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { sha256 } from '../base/digests.js'
import type { Problem } from '../base/errors.js'
import { onDisk } from '../base/file-errors.js'
import { makeFolder } from '../base/make-folder.js'
import { removeScratch } from '../debian/namespace.js'
import { type ArtifactsRequest, makeArtifacts, readyArtifacts } from './artifacts/artifacts.js'
import type { Artifact } from './artifacts/kept.js'
import { outdatedArtifacts } from './artifacts/outdated.js'
import { type Explanation, explain, lastInputs, rememberInputs, spellOut } from './explain.js'
import { makeFinal } from './final.js'
import type { Manifest } from './manifest.js'
import { makePayloads } from './payloads.js'
import { placed } from './place.js'
import { type Prepared, type PrepareRequest, prepare } from './prepare.js'
import { pruneStore } from './prune.js'
import { checkSpace } from './space.js'
import type { Stage, StageRun } from './stage.js'
import { type Stages, stageList } from './stages.js'
import { fileStamp } from './stamp.js'
import { replaceFile, type Store, storeLimit } from './store.js'
import { checkOut } from './writable.js'

export interface BuildRequest extends PrepareRequest {
  /** Folder for the image and its manifest. */
  out: string
  /** Say which stages ran, and why. */
  explain?: boolean
  /** What else is made beside them. */
  artifacts?: ArtifactsRequest
}

export interface BuildResult {
  image: string
  manifestFile: string
  manifest: Manifest
  lockFile: string
  /** True when the lock was made now. */
  lockMade: boolean
  warnings: Problem[]
  /** True when the image was there already, made from the same inputs. */
  unchanged: boolean
  /** Every stage in the order of a build, where the request asked for it. */
  explanations: Explanation[] | null
  /** The files that were asked for, image and manifest first; empty where none were. */
  artifacts: Artifact[]
}

/**
 * Builds the image of a profile, and prunes the store where `$KEYVISOR_STORE_LIMIT` asks for it. Throws KeyvisorError;
 * nothing half-written is left under a final name.
 */
export async function buildImage(request: BuildRequest, run: StageRun): Promise<BuildResult> {
  const limit = storeLimit()
  const result = await onDisk(
    'build the image',
    () => run.store.leased(() => build(request, run)),
    run.store.folder,
  )
  if (limit !== undefined) await pruneStore(run.store, { maxSize: limit })
  return result
}

async function build(request: BuildRequest, run: StageRun): Promise<BuildResult> {
  await removeScratch(...(await run.store.staleScratch()))
  const ready = request.artifacts && (await readyArtifacts(request.artifacts))
  const out = resolve(request.out)
  await checkOut(out)
  const prepared = await prepare(request, run)
  await makeFolder(out)
  const image = join(out, `${prepared.plan.name}.img`)
  const manifestFile = join(out, `${prepared.plan.name}.manifest.json`)
  const { stages, lockFile, lockMade, warnings } = prepared
  const inputs = spellOut(stages, prepared.meanings)
  const before = request.explain ? await lastInputs(run.store, image) : undefined
  const earlier = await readFile(manifestFile, 'utf8').catch(() => undefined)
  const kept = await unchangedImage(prepared, image, manifestFile, run)
  const reused = kept ? await keepAll(stages, run.store) : new Set<string>()
  const manifest = kept ?? (await makeImage(prepared, image, manifestFile, noting(run, reused)))
  if (!kept) await rememberInputs(run.store, image, inputs)
  const explanations = request.explain ? explain(stages, before, inputs, reused) : null
  const built = { prepared, profile: request.profile, image, manifestFile, manifest }
  const artifacts = ready ? await makeArtifacts(built, ready, run) : []
  const sameBytes = (await readFile(manifestFile, 'utf8')) === earlier
  const outdated = sameBytes ? [] : await outdatedArtifacts(request.out, prepared.plan.name, artifacts)
  return {
    ...{ image, manifestFile, manifest, lockFile, lockMade, warnings: [...warnings, ...outdated] },
    ...{ unchanged: kept !== undefined, explanations, artifacts },
  }
}

async function makeImage(
  prepared: Prepared,
  image: string,
  manifestFile: string,
  run: StageRun,
): Promise<Manifest> {
  await checkSpace(prepared, run.store, dirname(image))
  const payloads = await makePayloads(prepared, run).catch(async (error) => {
    throw await placed(error, prepared.profileFile)
  })
  const { title } = prepared.stages.image
  const manifest = await onDisk(title, () => makeFinal(prepared, payloads, image, run), image)
  await replaceFile(manifestFile, `${JSON.stringify(manifest, null, 2)}\n`)
  await rememberImage(prepared, image, run)
  return manifest
}

/** Names of all stages, each of which this build has used, though it ran none. */
async function keepAll(stages: Stages, store: Store): Promise<Set<string>> {
  const all = stageList(stages)
  for (const { key } of all) await store.touchRecord(key)
  return new Set(all.map(({ name }) => name))
}

/** The same run, which also notes the stages whose results the store had. */
function noting(run: StageRun, reused: Set<string>): StageRun {
  return {
    ...run,
    progress(event) {
      if (event.kind === 'end' && event.reused) reused.add(event.stage)
      run.progress(event)
    },
  }
}

// ------------------------------------------------------------------------------------------ nothing to do

/** The manifest of an image that is there already and was made from the same inputs. */
async function unchangedImage(
  { stages }: Prepared,
  image: string,
  manifestFile: string,
  run: StageRun,
): Promise<Manifest | undefined> {
  const record = await run.store.readRecord(imageRecordKey(stages.image, image))
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

async function rememberImage({ stages }: Prepared, image: string, run: StageRun): Promise<void> {
  const stamp = await fileStamp(image)
  await run.store.writeRecord(imageRecordKey(stages.image, image), {
    ...{ stage: '', objects: {} },
    facts: { stamp: stamp ?? null },
  })
}

function imageRecordKey(stage: Stage, image: string): string {
  return sha256(`image ${stage.key} at ${image}`)
}
