/**
 * Memory, sizes, and how often bytes are written.
 */
import { mkdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { build, figure, folder, MB, median, peaks, RUNS, root } from './measure.js'

const LIMITS = { memory: 300, rootPayload: 190, image: 320, written: 1.1 }
const GIB = 2 ** 30
const SPARSE = { guests: 2, gib: 20 }

/** Guests from raw images that are nearly all holes. */
export function memory() {
  const profile = join(folder, 'sparse.yaml')
  const guests = Array.from({ length: SPARSE.guests }, (_, at) => {
    const image = join(folder, `sparse${at}.raw`)
    writeFileSync(image, Buffer.alloc(8 << 20, `keyvisor ${at}`))
    truncateSync(image, SPARSE.gib * GIB)
    return `  - name: sparse${at}\n    source: {image: sparse${at}.raw, format: raw}\n`
  })
  writeFileSync(profile, `version: 1\nname: sparse\nstick: {minimumSize: 64GiB}\nguests:\n${guests.join('')}`)
  const done = build([profile, '--out', join(folder, 'sparse-out')])
  const bytes = SPARSE.guests * SPARSE.gib
  const raw = `With ${bytes} GiB of sparse guests ${done.peak.toFixed(0)} MB, in ${done.seconds.toFixed(0)} s.`
  figure("builder's own peak memory, of all builds", Math.max(...peaks), LIMITS.memory, 'MB', raw)
}

/** The minimal stick, its payloads in the store: what is written then is the image. */
export function sizes() {
  const out = join(folder, 'minimal-out')
  const args = [join(root, 'profiles/minimal.yaml'), '--out', out]
  build(args)
  const runs = Array.from({ length: RUNS }, () => {
    rmSync(out, { recursive: true })
    mkdirSync(out)
    return build(args)
  })
  const { image, manifestFile } = runs[0].result
  const allocated = statSync(image).blocks * 512
  const written = runs.map((run) => run.written)
  const raw = `written ${written.map((bytes) => (bytes / MB).toFixed(0)).join(', ')} MB`
  figure(
    'bytes written, against those that the image takes',
    median(written) / allocated,
    LIMITS.written,
    '×',
    raw,
  )
  const manifest = JSON.parse(readFileSync(manifestFile, 'utf8'))
  figure('root payload', manifest.slots.a.size / MB, LIMITS.rootPayload, 'MB')
  figure('image without guests, allocated', allocated / MB, LIMITS.image, 'MB')
}
