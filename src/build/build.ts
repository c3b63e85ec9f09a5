/**
 * The build: a prepared plan becomes payloads in the store, a layout, and one image with its manifest.
 */
import { mkdir, readFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { sha256 } from '../base/digests.js'
import { onDisk } from '../base/disk-errors.js'
import type { Problem } from '../base/errors.js'
import { removeScratch } from '../debian/namespace.js'
import { type Explanation, explain, lastInputs, rememberInputs, spellOut } from './explain.js'
import { makeFinal } from './final.js'
import type { Manifest } from './manifest.js'
import { makePayloads } from './payloads.js'
import { type Prepared, type PrepareRequest, prepare } from './prepare.js'
import { pruneStore } from './prune.js'
import { checkSpace } from './space.js'
import type { Stage, StageRun } from './stage.js'
import { stageList } from './stages.js'
import { fileStamp } from './stamp.js'
import { replaceFile, storeLimit } from './store.js'

export interface BuildRequest extends PrepareRequest {
  /** Folder for the image and its manifest. */
  out: string
  /** Say which stages ran, and why. */
  explain?: boolean
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
}

/**
 * Builds the image of a profile, and prunes the store where `$KEYVISOR_STORE_LIMIT` asks for it. Throws KeyvisorError;
 * nothing half-written is left under a final name.
 */
export async function buildImage(request: BuildRequest, run: StageRun): Promise<BuildResult> {
  const limit = storeLimit()
  const result = await onDisk('build the image', () => run.store.leased(() => build(request, run)))
  if (limit !== undefined) await pruneStore(run.store, { maxSize: limit })
  return result
}

async function build(request: BuildRequest, run: StageRun): Promise<BuildResult> {
  await removeScratch(...(await run.store.staleScratch()))
  const prepared = await prepare(request, run)
  const out = resolve(request.out)
  await mkdir(out, { recursive: true })
  const image = join(out, `${prepared.plan.name}.img`)
  const manifestFile = join(out, `${prepared.plan.name}.manifest.json`)
  const { lockFile, lockMade, warnings, stages } = prepared
  const result = { image, manifestFile, lockFile, lockMade, warnings }
  const inputs = spellOut(stages, prepared.meanings)
  const before = request.explain ? await lastInputs(run.store, image) : undefined
  const explanations = (reused: Set<string>) =>
    request.explain ? explain(stages, before, inputs, reused) : null
  const kept = await unchangedImage(prepared, image, manifestFile, run)
  if (kept) {
    const all = stageList(stages)
    for (const { key } of all) await run.store.touchRecord(key)
    const reused = new Set(all.map(({ name }) => name))
    return { ...result, manifest: kept, unchanged: true, explanations: explanations(reused) }
  }
  await checkSpace(prepared, run.store, out)
  const reused = new Set<string>()
  const manifest = await makeAll(prepared, image, manifestFile, noting(run, reused))
  await rememberInputs(run.store, image, inputs)
  return { ...result, manifest, unchanged: false, explanations: explanations(reused) }
}

async function makeAll(
  prepared: Prepared,
  image: string,
  manifestFile: string,
  run: StageRun,
): Promise<Manifest> {
  const payloads = await makePayloads(prepared, run)
  const manifest = await onDisk(prepared.stages.image.title, () => makeFinal(prepared, payloads, image, run))
  await replaceFile(manifestFile, `${JSON.stringify(manifest, null, 2)}\n`)
  await rememberImage(prepared, image, run)
  return manifest
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
