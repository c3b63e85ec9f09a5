/**
 * Verbs that need a build, each with the store and the files that it begins with. A run takes seconds: only quick stages are
 * forgotten, and the image that is started switches its PC off.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { basename, extname, join } from 'node:path'
import { sha256File, sha256 as textDigest } from '../../../src/base/digests.js'
import { silent } from '../../../src/base/progress.js'
import { systemTools } from '../../../src/base/tool.js'
import { SECTOR } from '../../../src/base/units.js'
import { withTrial } from '../../../src/lab/trial.js'
import type { Lock } from '../../../src/lock/types.js'
import { inspectImage } from '../../../src/media/inspect.js'
import { buildImage } from '../../../src/pipeline/build.js'
import { planBuild } from '../../../src/pipeline/plan-build.js'
import type { Stages } from '../../../src/pipeline/stages.js'
import { pruneStore } from '../../../src/store/prune.js'
import { Store, storeFolder } from '../../../src/store/store.js'
import { forget } from '../builders/builder.js'
import type { Verb } from './faulty.js'
import type { Files } from './verbs.js'

/** Stages that take a second, and together make every kind of call. */
const FORGOTTEN = ['import.disk', 'library', 'loader']

const ARTIFACTS = ['cdx.json', 'spdx.json', 'provenance.json', 'bmap']

/** What all runs begin with. */
export interface Built {
  files: Files
  store: Store
  stages: Stages
  /** The first image's. */
  sha256: string
  /** A copy that switches its PC off at once. */
  off: string
  /** The lock as it is, and as it was before it knew the image of the guest: to be written anew, without a network. */
  lock: { whole: string; loose: string }
}

/** A first build, and a store with nothing but what the verbs need of the user's. */
export async function makeBuilt(files: Files): Promise<Built> {
  const started = Date.now()
  await Store.open(storeFolder())
  await systemTools.run({
    tool: 'cp',
    args: ['-a', '--reflink=auto', storeFolder(), join(files.folder, 'store')],
  })
  rmSync(join(files.folder, 'store', 'tmp'), { recursive: true })
  const store = await Store.open(join(files.folder, 'store'))
  const run = { store, progress: silent }
  const { image } = await buildImage({ profile: files.profile, out: files.out }, run)
  const { stages, lock } = await planBuild({ profile: files.profile }, run)
  const off = await switchingOff(files)
  await withTrial(
    off,
    { accelerator: 'tcg', memory: 512 * 1024 * 1024 },
    run,
    async ({ ended }) => void (await ended),
  )
  await pruneOthers(store, lock, started)
  const whole = readFileSync(files.lock, 'utf8')
  const loose = `${JSON.stringify({ ...(JSON.parse(whole) as Lock), files: {} }, null, 1)}\n`
  const { sha256 } = await sha256File(image)
  return { files, store, stages, sha256, off, lock: { whole, loose } }
}

/**
 * Waits two seconds (BIOS, INT 15h, function 86h: so many microseconds in CX:DX), in which there is a picture of the
 * firmware, and switches the PC off: ACPI S5 of QEMU's q35, as `pc/accelerator.ts` has it.
 */
const SWITCH_OFF = [
  0xb9,
  0x1e,
  0x00,
  0xba,
  0x80,
  0x84,
  0xb4,
  0x86,
  0xcd,
  0x15, // mov cx,0x1e; mov dx,0x8480; mov ah,0x86; int 0x15
  0xba,
  0x04,
  0x06,
  0xb8,
  0x00,
  0x20,
  0xef, // mov dx,0x604; mov ax,0x2000; out dx,ax
]

/** Differs from the image also in the last sector of its ESP, where no file is. */
async function switchingOff({ folder, image }: Files): Promise<string> {
  const off = join(folder, 'off', 'off.img')
  mkdirSync(join(folder, 'off'))
  await systemTools.run({ tool: 'cp', args: ['--sparse=always', image, off] })
  const { layout } = await inspectImage(image)
  const esp = layout.partitions.find(({ name }) => name === 'esp')
  const file = await open(off, 'r+')
  await file.write(Buffer.from(SWITCH_OFF), 0, SWITCH_OFF.length, 0)
  await file.write(Buffer.from('x'), 0, 1, (esp?.last ?? 0) * SECTOR)
  await file.close()
  return off
}

/** Locked packages are in use, though a build only looks whether they are there. */
async function pruneOthers(store: Store, lock: Lock, started: number): Promise<void> {
  const now = new Date()
  for (const { sha256 } of Object.values(lock.packages)) utimesSync(store.objectPath(sha256), now, now)
  await pruneStore(store, { olderThan: (Date.now() - started) / 1000 })
}

export async function builtVerbs(built: Built): Promise<Verb[]> {
  const { files, store, sha256, off, lock } = built
  const { folder, profile, image, manifest, out } = files
  const common = { folder, store: store.folder, opened: store }
  const pc = ['--memory', '512MiB']
  const loosen = () => writeFileSync(files.lock, lock.loose)
  const digest = async (path: string) => (await sha256File(path)).sha256
  writeFileSync(files.lock, lock.whole)
  const ofLock = { [files.lock]: [await digest(files.lock), textDigest(lock.loose)] }
  const ofBuild = { ...ofLock, [image]: [sha256], [manifest]: [await digest(manifest)] }
  const ready = () => imageThere(built)
  const artifacts = ['--artifacts', 'bmap,sbom,provenance,sums']
  const plain = ['build', profile, '--out', out, '--offline', '--json']
  return [
    { ...common, name: 'plan', args: ['plan', profile, '--json'], ready: loosen, written: ofLock },
    { ...common, name: 'lock', args: ['lock', profile, '--json'], ready: loosen, written: ofLock },
    { ...common, name: 'build', args: plain, ready: () => unbuilt(built), written: ofBuild },
    {
      ...common,
      name: 'build --artifacts',
      args: [...plain, ...artifacts],
      ready: () => unpublished(built),
      written: ofBuild,
    },
    { ...common, name: 'inspect', args: ['inspect', image, '--json'], ready },
    { ...common, name: 'diff', args: ['diff', image, off, '--json'], ready },
    { ...common, name: 'run', args: ['run', off, ...pc], ready, answerOf: withoutPc },
    {
      ...common,
      name: 'test',
      args: ['test', off, ...pc, '--report', join(out, 'report')],
      ready: () => unreported(built),
      answerOf: (answer) => withoutPc(answer).replace(LAST_PICTURE, ''),
      resultWrong: (failed) => reportWrong(join(out, 'report'), failed),
    },
  ]
}

async function unbuilt({ files, store, stages, lock }: Built): Promise<void> {
  rmSync(files.out, { recursive: true, force: true })
  for (const stage of FORGOTTEN) await forget(store, stages, stage)
  writeFileSync(files.lock, lock.loose)
}

async function imageThere({ files, store, lock }: Built): Promise<void> {
  writeFileSync(files.lock, lock.whole)
  if (existsSync(files.image) && existsSync(files.manifest)) return
  await buildImage({ profile: files.profile, out: files.out }, { store, progress: silent, offline: true })
}

async function unpublished(built: Built): Promise<void> {
  await imageThere(built)
  const { out, image } = built.files
  const name = basename(image, '.img')
  for (const ending of ARTIFACTS) rmSync(join(out, `${name}.${ending}`), { force: true })
  for (const path of ['SHA256SUMS', `${basename(image)}.bmap`]) rmSync(join(out, path), { force: true })
}

async function unreported(built: Built): Promise<void> {
  await imageThere(built)
  rmSync(join(built.files.out, 'report'), { recursive: true, force: true })
}

/** Whichever of the two is faster just now. */
function withoutPc(answer: string): string {
  return answer.replace(/KVM|software emulation/g, 'ACCELERATOR').replace(/# CPUs?/g, '# CPU')
}

/** Pictures are no part of the verdict: where one fails, another is the last. */
const LAST_PICTURE = /^(the last picture|there is no picture) of its screen.*$/m

/** How each file of a report ends, where it is whole. */
const ENDINGS: Record<string, string> = {
  html: '</html>\n',
  xml: '</testsuites>\n',
  png: 'IEND\xae\x42\x60\x82',
}

/** What is there is whole; and all is there, or the report says why it is not. */
function reportWrong(report: string, failed: boolean): string[] {
  const names = existsSync(report) ? readdirSync(report) : []
  const text = (name: string) => (names.includes(name) ? readFileSync(join(report, name), 'latin1') : '')
  const halves = names.filter((name) => !text(name).endsWith(ENDINGS[extname(name).slice(1)] ?? ''))
  const wrongs = halves.map((name) => `${join(report, name)} is not whole`)
  if (failed) return wrongs
  const missing = ['report.html', 'junit.xml', 'serial.log', 'report.jsonl'].filter(
    (name) => !names.includes(name),
  )
  wrongs.push(...missing.map((name) => `${join(report, name)} is not there`))
  const isSaid = names.includes('firmware.png') || text('report.html').includes('<li>firmware: ')
  return isSaid ? wrongs : [...wrongs, 'nothing is said of the firmware, which has no picture']
}
