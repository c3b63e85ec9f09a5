/**
 * What is made of the image's own bytes: its digest, compressed copies and its block map, in one reading.
 */

import { stat } from 'node:fs/promises'
import type { Json } from '../base/digests.js'
import { together } from '../base/parallel.js'
import { step } from '../base/progress.js'
import type { ToolRunner } from '../base/tool.js'
import type { Bytes } from '../base/units.js'
import { encodeBmap } from '../disk/bmap.js'
import type { Manifest } from '../stick/manifest.js'
import { replaceFile } from '../store/store.js'
import type { Workplace } from '../store/workplace.js'
import { digestingRanges, writtenRanges } from './block-map.js'
import { type Compression, compressing, compressionSettings } from './compress.js'
import { digesting, readOnce } from './read-once.js'
import { type Artifact, keptArtifact, rememberArtifact } from './reuse.js'

/** In progress events. */
const STAGE = 'artifacts'

export type ImageForm = Compression | 'bmap'

export interface ImageRequest {
  image: string
  manifest: Manifest
  forms: ImageForm[]
  /** Which tools compress: a digest of their packages. */
  toolsKey: string
  /** Called when something is to be compressed. */
  tools: () => Promise<ToolRunner>
}

/** A file to make, and what it is made from. */
interface Wanted {
  form: ImageForm | 'image'
  path: string
  inputs: Json
}

/** The image itself and the forms asked for, made where they are not there. */
export async function imageArtifacts(request: ImageRequest, place: Workplace): Promise<Artifact[]> {
  const wanted = wantedFiles(request)
  const kept = await Promise.all(wanted.map(({ path, inputs }) => keptArtifact(path, inputs, place.store)))
  const open = wanted.filter((_, index) => !kept[index])
  const made = open.length > 0 ? await makeAll(request, open, place) : []
  return kept.map((artifact) => artifact ?? (made.shift() as Artifact))
}

function wantedFiles({ image, manifest, forms, toolsKey }: ImageRequest): Wanted[] {
  const base = image.replace(/\.img$/, '')
  const from = { image: manifest.key }
  const file: Record<ImageForm, Omit<Wanted, 'form'>> = {
    zst: { path: `${image}.zst`, inputs: { ...from, tools: toolsKey, settings: compressionSettings('zst') } },
    xz: { path: `${image}.xz`, inputs: { ...from, tools: toolsKey, settings: compressionSettings('xz') } },
    bmap: { path: `${base}.bmap`, inputs: { ...from, version: 1 } },
  }
  return [{ form: 'image', path: image, inputs: from }, ...forms.map((form) => ({ form, ...file[form] }))]
}

async function makeAll(request: ImageRequest, open: Wanted[], place: Workplace): Promise<Artifact[]> {
  const tools = open.some(isCompressed) ? await request.tools() : undefined
  const title = tools ? 'compress the image' : 'take the digest of the image'
  return step(place.progress, { stage: STAGE, title }, () => makeWith(tools, request, open, place))
}

/** All of it from one reading of the image. */
async function makeWith(
  tools: ToolRunner | undefined,
  { image, manifest }: ImageRequest,
  open: Wanted[],
  place: Workplace,
): Promise<Artifact[]> {
  const { size, mode } = await stat(image)
  const compressed = open.filter(isCompressed)
  const { signal, abort } = failing(place.signal)
  const whole = digesting()
  const ranges = digestingRanges(writtenRanges(manifest.layout))
  const packers = compressed.map(({ form, path }) =>
    compressing({ form, path, imageSize: size, mode: mode & 0o666 }, tools as ToolRunner, signal),
  )
  const reading = readOnce(image, [whole, ranges, ...packers], counting(place, size), signal)
  await together([reading, ...packers.map(({ done }) => done)], abort)
  const bmap = open.find(({ form }) => form === 'bmap')
  if (bmap) await replaceFile(bmap.path, encodeBmap({ imageSize: size, ranges: ranges.ranges() }))
  const known = { sha256: whole.sha256(), size }
  const remember = ({ form, path, inputs }: Wanted) =>
    rememberArtifact(path, inputs, place.store, form === 'image' ? known : undefined)
  return Promise.all(open.map(remember))
}

function counting(place: Workplace, total: Bytes): (bytes: Bytes) => void {
  let done = 0
  return (bytes) => {
    done += bytes
    place.progress({ kind: 'bytes', stage: STAGE, done, total })
  }
}

/** A signal that follows the build's own, and can be given by whoever fails first. */
function failing(signal: AbortSignal | undefined) {
  const own = new AbortController()
  return {
    signal: signal ? AbortSignal.any([signal, own.signal]) : own.signal,
    abort: (reason: unknown) => own.abort(reason),
  }
}

function isCompressed(wanted: Wanted): wanted is Wanted & { form: Compression } {
  return wanted.form === 'zst' || wanted.form === 'xz'
}
