/**
 * Artifacts: what is published beside an image and its manifest. Which are made, in which order, and what each is of.
 *
 * The image is read at most once. What is there and still fits is not made again; texts are always worked out, and
 * written when they differ.
 */

import { readFile, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { type Json, sha256, sha256File } from '../base/digests.js'
import { allocatedBytes } from '../base/disk-usage.js'
import type { Problem } from '../base/errors.js'
import { step } from '../base/progress.js'
import type { Bytes } from '../base/units.js'
import { lockedDebs } from '../lock/fetch.js'
import { setDigest } from '../lock/lock.js'
import type { Prepared } from '../prepare/prepare.js'
import type { Manifest } from '../stick/manifest.js'
import { checkFree } from '../store/space.js'
import { replaceFile } from '../store/store.js'
import type { Workplace } from '../store/workplace.js'
import { toolsTree, usesSystemTools } from '../tools/tools.js'
import { type BundleForm, writeBundle } from './bundle.js'
import { type Compared, changesText, readEarlierManifest } from './changes.js'
import { epochTime, rootComponents } from './components.js'
import { cyclonedx } from './cyclonedx.js'
import { type ImageForm, imageArtifacts } from './image.js'
import { outdatedArtifacts } from './outdated.js'
import { provenance } from './provenance.js'
import { type Artifact, keptArtifact, rememberArtifact } from './reuse.js'
import { readSigner, type Signer, type SignRequest, signedFile } from './sign.js'
import { spdx } from './spdx.js'

export const ARTIFACT_KINDS = ['zst', 'xz', 'bmap', 'sbom', 'provenance', 'sums'] as const
export type ArtifactKind = (typeof ARTIFACT_KINDS)[number]

export interface ArtifactsRequest {
  kinds: readonly ArtifactKind[]
  /** Path of the manifest of an earlier build, for `NAME.changes.md`. */
  changesFrom?: string
  /** Signs the checksums, which are made for that. */
  sign?: SignRequest
  /** Everything in one archive as well. */
  bundle?: BundleForm
}

/** What can go wrong before there is an image, and is better told then. */
export interface ReadyArtifacts {
  request: ArtifactsRequest
  earlier: Compared | undefined
  signer: Signer | undefined
}

/** A finished build. */
export interface BuiltImage {
  prepared: Prepared
  image: string
  manifestFile: string
  manifest: Manifest
  /** Another image, or none, lay there before. */
  isOther: boolean
}

export interface Published {
  /** The files that were asked for, image and manifest first; empty where none were. */
  artifacts: Artifact[]
  /** Of artifacts that lie there and are of an earlier image. */
  warnings: Problem[]
}

/** Reads what the request names. Throws `manifest-unusable` and `key-unusable`. */
export async function readyArtifacts(request: ArtifactsRequest): Promise<ReadyArtifacts> {
  const { changesFrom, sign } = request
  return {
    request,
    earlier: changesFrom === undefined ? undefined : await readEarlierManifest(changesFrom),
    signer: sign && (await readSigner(sign)),
  }
}

/**
 * Makes what is asked for, beside the image. Throws `no-space`, `not-signed`, and what fetching packages throws.
 *
 * @param ready undefined when nothing is asked for
 * @param folder of the image, as the user named it
 */
export async function publishImage(
  built: BuiltImage,
  ready: ReadyArtifacts | undefined,
  folder: string,
  place: Workplace,
): Promise<Published> {
  const artifacts = ready ? await place.store.leased(() => makeArtifacts(built, ready, place)) : []
  const { name } = built.prepared.plan
  return { artifacts, warnings: built.isOther ? await outdatedArtifacts(folder, name, artifacts) : [] }
}

/** Every published file, the image and its manifest first. */
async function makeArtifacts(
  built: BuiltImage,
  ready: ReadyArtifacts,
  place: Workplace,
): Promise<Artifact[]> {
  const { request, earlier, signer } = ready
  const { image, manifest, manifestFile } = built
  const kinds = new Set<ArtifactKind>(request.kinds)
  const base = image.replace(/\.img$/, '')
  await checkRoom(built, request)
  const forms = (['zst', 'xz', 'bmap'] as const).filter((form) => kinds.has(form))
  const files = await ofImage(built, forms, place)
  files.splice(1, 0, textArtifact(manifestFile, await readFile(manifestFile, 'utf8')))
  const publish = async (path: string, text: string) => void files.push(await writtenText(path, text))

  if (kinds.has('sbom')) {
    const roots = rootComponents(built.prepared, manifest)
    await publish(`${base}.cdx.json`, jsonText(cyclonedx(manifest, files[0] as Artifact, roots)))
    await publish(`${base}.spdx.json`, jsonText(spdx(manifest, files[0] as Artifact, roots)))
  }
  if (earlier) await publish(`${base}.changes.md`, changesText(earlier, manifest))
  if (kinds.has('provenance')) await publish(`${base}.provenance.json`, await provenanceText(built, files))
  if (kinds.has('sums') || signer) {
    const sums = await writtenText(join(dirname(image), 'SHA256SUMS'), sumsText(files))
    files.push(sums)
    const comment = `${manifest.name} ${epochTime(manifest.epoch)}`
    if (signer) files.push(await signedFile(sums, comment, signer, () => publishTools(built, place), place))
  }
  if (request.bundle) files.push(await bundled(built, request.bundle, files, place))
  return files
}

// ------------------------------------------------------------------------------------------ of the image

function ofImage(built: BuiltImage, forms: ImageForm[], place: Workplace): Promise<Artifact[]> {
  const { image, manifest, prepared } = built
  const toolsKey = usesSystemTools() ? 'system' : setDigest(prepared.lock, 'tools.publish')
  return imageArtifacts({ image, manifest, forms, toolsKey, tools: () => publishTools(built, place) }, place)
}

function publishTools({ prepared }: BuiltImage, place: Workplace) {
  const set = 'tools.publish'
  const debs = async () => (await lockedDebs(prepared, [set], place))[set] ?? []
  return toolsTree(place, 'publish', setDigest(prepared.lock, set), debs)
}

/** A compressed image takes at most what the image does, holes left out; a bundle has no holes. */
async function checkRoom({ image }: BuiltImage, { kinds, bundle }: ArtifactsRequest): Promise<void> {
  const found = await stat(image)
  const filled = allocatedBytes(found)
  const compressed = kinds.filter((kind) => kind === 'zst' || kind === 'xz').length * filled
  const need = compressed + (bundle ? found.size + compressed : 0)
  await checkFree(dirname(image), need, 'the folder of the image', 'choose another folder with --out')
}

// ------------------------------------------------------------------------------------------ texts

function jsonText(value: Json): string {
  return `${JSON.stringify(value, null, 1)}\n`
}

function textArtifact(path: string, text: string): Artifact {
  return { path, sha256: sha256(text), size: Buffer.byteLength(text) }
}

async function writtenText(path: string, text: string): Promise<Artifact> {
  const found = await readFile(path, 'utf8').catch(() => undefined)
  if (found !== text) await replaceFile(path, text)
  return textArtifact(path, text)
}

async function provenanceText({ prepared, manifest }: BuiltImage, subjects: Artifact[]): Promise<string> {
  const { lock, lockFile, profileFile } = prepared
  const named = async (path: string) => ({ path, sha256: (await sha256File(path)).sha256 })
  const inputs = { profile: await named(profileFile), lockFile: await named(lockFile) }
  return jsonText(provenance({ manifest, lock, ...inputs, subjects }))
}

/** As sha256sum(1) checks them. */
function sumsText(files: Artifact[]): string {
  const lines = files.map(({ path, sha256 }) => `${sha256}  ${basename(path)}\n`)
  return lines.sort((a, b) => (a.slice(66) < b.slice(66) ? -1 : 1)).join('')
}

// ------------------------------------------------------------------------------------------ the bundle

async function bundled(
  built: BuiltImage,
  form: BundleForm,
  files: Artifact[],
  place: Workplace,
): Promise<Artifact> {
  const { image, manifest } = built
  const path = image.replace(/\.img$/, `.${form}`)
  const inputs = { version: 1, epoch: manifest.epoch, files: files.map(({ sha256 }) => sha256) }
  const kept = await keptArtifact(path, inputs, place.store)
  if (kept) return kept
  const stage = 'bundle'
  const total = files.reduce((sum, { size }) => sum + size, 0)
  let done: Bytes = 0
  const onBytes = (bytes: Bytes) => {
    done += bytes
    place.progress({ kind: 'bytes', stage, done: Math.min(done, total), total })
  }
  const { mode } = await stat(image)
  const paths = files.map((file) => file.path).sort()
  const request = { form, path, files: paths, epoch: manifest.epoch, mode: mode & 0o666 }
  await step(place.progress, { stage, title: 'put everything into one archive' }, () =>
    writeBundle(request, onBytes, place.signal),
  )
  return rememberArtifact(path, inputs, place.store)
}
