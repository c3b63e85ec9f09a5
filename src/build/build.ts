/**
 * The build: a prepared plan becomes payloads in the store, a layout, and one image with its manifest.
 */
import { existsSync } from 'node:fs'
import { mkdir, readdir, readFile, rm, stat, statfs, writeFile } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { sha256 } from '../base/digests.js'
import { KeyvisorError, type Problem } from '../base/errors.js'
import { limited } from '../base/parallel.js'
import type { ToolRunner } from '../base/tool.js'
import { type Bytes, formatBytes, GiB, SECTOR } from '../base/units.js'
import { makeBiosLoader, writeEsp } from '../debian/boot.js'
import { removeScratch } from '../debian/namespace.js'
import { type Deb, packTree } from '../debian/tree.js'
import { packGuestDisk } from '../guests/debian.js'
import { takeImage } from '../guests/image.js'
import { packLibrary } from '../guests/library.js'
import { grubConfig } from '../host/grub.js'
import { hostEntries, packHostRoot } from '../host/root.js'
import { type Layout, layoutStick, type PayloadName } from '../plan/layout.js'
import { libraryIndex } from '../plan/plan.js'
import type { GuestPlan } from '../plan/types.js'
import { assembleImage } from './assemble.js'
import { lockedDebs } from './lock.js'
import { type Manifest, type ManifestPayload, parsePackages, type StickManifest } from './manifest.js'
import { imageBytes, type Prepared, type PrepareRequest, prepare } from './prepare.js'
import { type Done, runStage, type Stage, type StageRun } from './stage.js'
import { HOST_EXCLUDES } from './stages.js'
import { replaceFile } from './store.js'
import { toolsTree } from './tools.js'

export interface BuildRequest extends PrepareRequest {
  /** Folder for the image and its manifest. */
  out: string
}

export interface BuildResult {
  image: string
  manifestFile: string
  manifest: Manifest
  lockMade: boolean
  warnings: Problem[]
  /** True when the image was there already, made from the same inputs. */
  unchanged: boolean
}

/** Stages that run at the same time: installing packages keeps one core busy. */
const PARALLEL = 2

/** Builds the image of a profile. Throws KeyvisorError; nothing half-written is left under a final name. */
export async function buildImage(request: BuildRequest, run: StageRun): Promise<BuildResult> {
  await removeScratch(...(await run.store.staleScratch()))
  const prepared = await prepare(request, run)
  const out = resolve(request.out)
  await mkdir(out, { recursive: true })
  const image = join(out, `${prepared.plan.name}.img`)
  const manifestFile = join(out, `${prepared.plan.name}.manifest.json`)
  const result = { image, manifestFile, lockMade: prepared.lockMade, warnings: prepared.warnings }
  const kept = await unchangedImage(prepared, image, manifestFile, run)
  if (kept) return { ...result, manifest: kept, unchanged: true }
  await checkSpace(prepared, run.store.folder, out)
  const manifest = await makeImage(prepared, image, run)
  await replaceFile(manifestFile, `${JSON.stringify(manifest, null, 2)}\n`)
  await rememberImage(prepared, image, run)
  return { ...result, manifest, unchanged: false }
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
  const text = await readFile(manifestFile, 'utf8').catch(() => '{}')
  const manifest = JSON.parse(text) as Partial<Manifest>
  return manifest.key === stages.image.key ? (manifest as Manifest) : undefined
}

async function rememberImage({ stages }: Prepared, image: string, run: StageRun): Promise<void> {
  const stamp = await fileStamp(image)
  await run.store.writeRecord(imageRecordKey(stages.image, image), {
    objects: {},
    facts: { stamp: stamp ?? null },
  })
}

function imageRecordKey(stage: Stage, image: string): string {
  return sha256(`image ${stage.key} at ${image}`)
}

/** Changes whenever the file is written to or replaced; undefined when there is none. */
async function fileStamp(path: string): Promise<string | undefined> {
  const found = await stat(path).catch(() => undefined)
  return found && `${found.ino} ${found.size} ${found.mtimeMs} ${found.ctimeMs}`
}

// ------------------------------------------------------------------------------------------ space

/** What a build of a host needs in the store beside its outside images: trees while they are made, and results. */
const STORE_NEED: Bytes = 3 * GiB

/** Throws `no-space`, with the figures, before the first byte is written. */
async function checkSpace({ plan }: Prepared, store: string, out: string): Promise<void> {
  const images = await imageBytes(plan)
  await checkFree(
    store,
    STORE_NEED + 3 * images,
    'the store',
    'set KEYVISOR_STORE to a folder with more room',
  )
  await checkFree(out, GiB + 2 * images, 'the folder of the image', 'choose another folder with --out')
}

async function checkFree(folder: string, need: Bytes, what: string, hint: string): Promise<void> {
  const { bavail, bsize } = await statfs(folder)
  const free = bavail * bsize
  if (free >= need) return
  const message = `${what} (${folder}) has ${formatBytes(free)} free, and the build needs up to ${formatBytes(need)}`
  throw new KeyvisorError('no-space', message, { hint })
}

// ------------------------------------------------------------------------------------------ stages

interface Making extends Prepared {
  run: StageRun
  tools: ToolRunner
  debs: Record<string, Deb[]>
  readable: string[]
}

async function makeImage(prepared: Prepared, image: string, run: StageRun): Promise<Manifest> {
  const { plan, lock, profile } = prepared
  const sets = ['tools.pack', 'host', ...plan.guests.filter(isDebian).map(({ name }) => `guest.${name}`)]
  const debs = await lockedDebs(lock, sets, { ...run, mirror: profile.host?.mirror })
  const key = prepared.stages.loader.inputs['tools'] as string
  const tools = await toolsTree(run, 'tools', key, async () => debs['tools.pack'] as Deb[])
  const making: Making = { ...prepared, run, tools, debs, readable: [run.store.folder] }
  const { host, disks } = await makeHostAndGuests(making)
  const library = await makeLibrary(making, disks)
  const loader = await makeLoader(making)
  const stick = stickManifest(making, host, disks, library)
  const esp = await makeEsp(making, host, library, stick)
  return makeFinal(making, { host, disks, library, loader, esp, stick }, image)
}

function isDebian(guest: GuestPlan): boolean {
  return guest.source.kind === 'debian'
}

/** The host and every guest, side by side; the first failure ends the others. */
async function makeHostAndGuests(making: Making): Promise<{ host: Done; disks: Record<string, Done> }> {
  const failing = new AbortController()
  const signal = making.run.signal ? AbortSignal.any([making.run.signal, failing.signal]) : failing.signal
  const own: Making = { ...making, run: { ...making.run, signal } }
  const slot = limited(PARALLEL)
  const trees = new Map<string, Promise<Done>>()
  // Guests with the same packages share a tree: made once, by whoever comes first.
  const tree = (stage: Stage, set: string) => {
    const made = trees.get(stage.key) ?? slot(() => makeTree(own, stage, set))
    trees.set(stage.key, made)
    return made
  }
  const host = tree(own.stages.hostTree, 'host').then((done) => slot(() => makeHostRoot(own, done)))
  const disks = own.plan.guests.map(async (guest) => {
    const stage = own.stages.guestTrees[guest.name]
    const done = stage && (await tree(stage, `guest.${guest.name}`))
    return [guest.name, await slot(() => makeDisk(own, guest, done))] as const
  })
  const all = [host, ...disks]
  for (const work of all) work.catch((error) => failing.abort(error))
  const settled = await Promise.allSettled(all)
  const failed = settled.find((result) => result.status === 'rejected')
  if (failed) throw failing.signal.reason ?? failed.reason
  return { host: await host, disks: Object.fromEntries(await Promise.all(disks)) }
}

function makeTree(making: Making, stage: Stage, set: string): Promise<Done> {
  const { plan, run, tools, debs } = making
  return runStage(run, stage, async (scratch, note) => {
    const guest = plan.guests.find(({ name }) => `guest.${name}` === set)?.source
    const asked = guest?.kind === 'debian' ? guest : plan.host
    const request = {
      suite: asked.suite,
      packages: asked.packages,
      debs: debs[set] as Deb[],
      variant: set === 'host' ? ('essential' as const) : ('apt' as const),
      excludes: set === 'host' ? HOST_EXCLUDES : [],
      epoch: plan.epoch,
    }
    return { files: { tree: await packTree(request, scratch, tools, options(run, note)) }, facts: {} }
  })
}

function makeHostRoot(making: Making, tree: Done): Promise<Done> {
  const { plan, run, tools, stages, readable } = making
  return runStage(run, stages.hostRoot, async (scratch, note) => {
    const request = {
      host: plan.host,
      version: making.builder,
      treeSquashfs: objectPath(tree, 'tree'),
      entries: await hostEntries(plan.host),
      epoch: plan.epoch,
    }
    const made = await packHostRoot(request, scratch, tools, readable, options(run, note))
    const { root, kernel, initrd, packages } = made
    return { files: { root, kernel, initrd, packages }, facts: { ...made.tree } }
  })
}

function makeDisk(making: Making, guest: GuestPlan, tree: Done | undefined): Promise<Done> {
  const { plan, run, tools, stages, readable } = making
  const { source } = guest
  return runStage(run, stages.guestDisks[guest.name] as Stage, async (scratch, note) => {
    if (source.kind === 'image')
      return { files: { disk: await takeImage(source, scratch, tools, run.signal) }, facts: {} }
    const request = { guest, source, treeSquashfs: objectPath(tree as Done, 'tree'), epoch: plan.epoch }
    const files = await packGuestDisk(request, scratch, tools, readable, options(run, note))
    return { files: { ...files }, facts: {} }
  })
}

function makeLibrary(making: Making, disks: Record<string, Done>): Promise<Done> {
  const { plan, run, tools, stages } = making
  return runStage(run, stages.library, async (scratch) => {
    const objects = Object.entries(disks).map(([name, done]) => ({ name, ...object(done, 'disk') }))
    const virtual = (name: string) => plan.guests.find((guest) => guest.name === name)?.disk.size as Bytes
    const bases = Object.fromEntries(
      objects.map(({ name, sha256 }) => [name, { sha256, size: virtual(name) }]),
    )
    const unique = [...new Map(objects.map((item) => [item.sha256, item])).values()]
    const link = (sha: string) => (target: string) => run.store.linkObject(sha, target)
    const images = unique.map(({ sha256, size }) => ({ sha256, size, link: link(sha256) }))
    const made = await packLibrary(libraryIndex(plan, bases), images, scratch, tools, plan.epoch)
    return { files: { library: made.image }, facts: { ...made.tree } }
  })
}

function makeLoader({ run, tools, stages }: Making): Promise<Done> {
  return runStage(run, stages.loader, async (scratch) => {
    const { boot, core } = await makeBiosLoader(scratch, tools)
    return { files: { boot, core }, facts: {} }
  })
}

function makeEsp(making: Making, host: Done, library: Done, stick: StickManifest): Promise<Done> {
  const { plan, run, tools, stages, readable } = making
  return runStage(run, stages.esp, async (scratch) => {
    const manifest = join(scratch, 'manifest.json')
    await writeFile(manifest, `${JSON.stringify(stick, null, 1)}\n`)
    const grub = grubConfig({
      title: `Keyvisor ${plan.name}`,
      slot: 'a',
      root: hashTree(host),
      library: hashTree(library),
      kernelArguments: plan.host.kernelArguments,
    })
    const files = [
      { path: 'a/vmlinuz', source: objectPath(host, 'kernel') },
      { path: 'a/initrd.img', source: objectPath(host, 'initrd') },
      { path: 'keyvisor/manifest.json', source: manifest },
    ]
    const image = join(scratch, 'esp.fat')
    const serial = sha256(`esp ${plan.name}`).slice(0, 8)
    const request = {
      label: 'KEYVISOR',
      serial,
      size: plan.stick.esp,
      epoch: plan.epoch,
      grubConfig: grub,
      files,
    }
    await writeEsp(request, image, tools, [...readable, scratch])
    return { files: { esp: image }, facts: {} }
  })
}

// ------------------------------------------------------------------------------------------ the image

interface Results {
  host: Done
  disks: Record<string, Done>
  library: Done
  loader: Done
  esp: Done
  stick: StickManifest
}

async function makeFinal(making: Making, results: Results, image: string): Promise<Manifest> {
  const { plan, run, stages } = making
  const started = Date.now()
  const stage = 'image'
  const payloads = {
    biosBoot: object(results.loader, 'core'),
    esp: object(results.esp, 'esp'),
    root: object(results.host, 'root'),
    library: object(results.library, 'library'),
  }
  const layout = layoutStick(plan.stick, plan.name, payloads)
  run.progress({ kind: 'start', stage, title: stages.image.title })
  await removeLeftovers(image)
  const total = payloads.esp.size + payloads.root.size + payloads.library.size
  let done = 0
  const onBytes = (bytes: Bytes) => {
    done += bytes
    run.progress({ kind: 'bytes', stage, done, total })
  }
  const bootImage = objectPath(results.loader, 'boot')
  await assembleImage({ layout, stick: plan.stick, bootImage, payloads }, image, onBytes, run.signal)
  run.progress({ kind: 'end', stage, seconds: (Date.now() - started) / 1000, reused: false })
  return fullManifest(making, results, layout, image)
}

/** Temporary files of builds of this image that were killed. */
async function removeLeftovers(image: string): Promise<void> {
  const mine = new RegExp(`^\\.${basename(image)}\\.(\\d+)\\.tmp$`)
  for (const name of await readdir(dirname(image))) {
    const pid = mine.exec(name)?.[1]
    if (pid && !existsSync(`/proc/${pid}`)) await rm(join(dirname(image), name), { force: true })
  }
}

function stickManifest(
  making: Making,
  host: Done,
  disks: Record<string, Done>,
  library: Done,
): StickManifest {
  const { plan } = making
  return {
    version: 1,
    name: plan.name,
    builder: making.builder,
    epoch: plan.epoch,
    host: {
      suite: plan.host.suite,
      hostname: plan.host.hostname,
      admin: plan.host.admin.name,
      keys: plan.host.admin.sshKeys.length,
    },
    guests: plan.guests.map(({ name, uuid, firmware, changes, autostart, cpus, memory, ports, ready }) => ({
      ...{ name, uuid, firmware, changes, autostart, cpus, memory, ports, ready },
      base: object(disks[name] as Done, 'disk').sha256,
    })),
    root: payload(host, 'root'),
    library: payload(library, 'library'),
  }
}

async function fullManifest(
  making: Making,
  results: Results,
  layout: Layout,
  image: string,
): Promise<Manifest> {
  const { host, disks, library, esp, loader, stick } = results
  const packages = async (done: Done) => {
    const list = done.objects['packages']
    return list ? parsePackages(await readFile(list.path, 'utf8')) : []
  }
  const guests = await Promise.all(
    Object.entries(disks).map(async ([name, done]) => [name, await packages(done)] as const),
  )
  const payloads: Record<PayloadName, ManifestPayload> = {
    biosBoot: payload(loader, 'core'),
    esp: payload(esp, 'esp'),
    root: stick.root,
    library: payload(library, 'library'),
  }
  return {
    ...stick,
    image: { file: basename(image), size: layout.sectors * SECTOR, smallestStick: layout.smallestStick },
    layout,
    payloads,
    packages: { host: await packages(host), guests: Object.fromEntries(guests) },
    key: making.stages.image.key,
  }
}

function payload(done: Done, name: string): ManifestPayload {
  const { sha256, size } = object(done, name)
  return { sha256, size, rootHash: String(done.facts['rootHash'] ?? '') }
}

function hashTree(done: Done) {
  return { rootHash: String(done.facts['rootHash']), offset: Number(done.facts['offset']) }
}

function object(done: Done, name: string) {
  const found = done.objects[name]
  if (!found) throw new Error(`BUG: the stage made no ${name}`)
  return found
}

function objectPath(done: Done, name: string): string {
  return object(done, name).path
}

function options(run: StageRun, onLine: (line: string) => void) {
  return { onLine, ...(run.signal ? { signal: run.signal } : {}) }
}
