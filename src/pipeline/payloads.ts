/**
 * Payloads: the work of every stage up to the finished bytes of each partition, which end in the store.
 *
 * Left out: the image that they are put together in (`image.ts`).
 */

import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { sha256 } from '../base/digests.js'
import { KeyvisorError } from '../base/errors.js'
import { lookUp } from '../base/lookup.js'
import { limited } from '../base/parallel.js'
import type { ToolRunner } from '../base/tool.js'
import type { Bytes } from '../base/units.js'
import { makeBiosLoader, writeEsp } from '../debian/boot.js'
import { type Deb, packTree } from '../debian/tree.js'
import { LOADING_PREFIX } from '../guest/report.js'
import { hostEntries, packHostRoot } from '../host/root.js'
import { type DebSource, fetchDebs, lockedDebs } from '../lock/fetch.js'
import { libraryIndex } from '../plan/plan.js'
import { hasSecrets } from '../plan/secrets.js'
import type { GuestPlan } from '../plan/types.js'
import { packGuestDisk } from '../sources/debian/disk.js'
import { takeImage } from '../sources/image/disk.js'
import { packLibrary } from '../sources/library.js'
import { grubConfig } from '../stick/boot-config.js'
import type { ManifestPayload, StickManifest } from '../stick/manifest.js'
import type { StoredObject } from '../store/store.js'
import type { Workplace } from '../store/workplace.js'
import { toolsTree } from '../tools/tools.js'
import type { PlannedBuild } from './plan-build.js'
import { type Done, runStage, type Stage } from './stage.js'
import { EXCLUDED_DRIVERS, HOST_EXCLUDES } from './stages.js'

/** Stages that run at the same time: installing packages keeps one core busy. */
const PARALLEL = 2

/** What every stage made. */
export interface Payloads {
  host: Done
  /** By guest. */
  disks: Record<string, Done>
  library: Done
  loader: Done
  esp: Done
  /** As it is on the ESP. */
  stick: StickManifest
}

/** A prepared build with all that its stages need. */
interface Making extends PlannedBuild {
  place: Workplace
  tools: ToolRunner
  readable: string[]
}

/** Takes every payload from the store, or makes it there. */
export async function makePayloads(prepared: PlannedBuild, place: Workplace): Promise<Payloads> {
  // All sets, also what only artifacts need: a later build without network has everything.
  await fetchDebs(prepared, Object.keys(prepared.lock.sets), place)
  const key = prepared.stages.loader.inputs['tools'] as string
  const tools = await toolsTree(place, 'tools', key, () => debsOf(prepared, 'tools.pack', place))
  const making: Making = { ...prepared, place: place, tools, readable: [place.store.folder] }
  const { host, disks } = await makeHostAndGuests(making)
  const library = await makeLibrary(making, disks)
  const loader = await makeLoader(making)
  const stick = stickManifest(making, host, disks, library)
  const esp = await makeEsp(making, host, library, stick)
  return { host, disks, library, loader, esp, stick }
}

async function debsOf(source: DebSource, set: string, place: Workplace): Promise<Deb[]> {
  return (await lockedDebs(source, [set], place))[set] as Deb[]
}

/** The host and every guest, side by side; the first failure ends the others. */
async function makeHostAndGuests(making: Making): Promise<{ host: Done; disks: Record<string, Done> }> {
  const failing = new AbortController()
  const signal = making.place.signal ? AbortSignal.any([making.place.signal, failing.signal]) : failing.signal
  const own: Making = { ...making, place: { ...making.place, signal } }
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
    const stage = lookUp(own.stages.guestTrees, guest.name)
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
  const { plan, place: run, tools } = making
  return runStage(run, stage, async (scratch, note) => {
    const guest = plan.guests.find(({ name }) => `guest.${name}` === set)?.source
    const asked = guest?.kind === 'debian' ? guest : plan.host
    const request = {
      suite: asked.suite,
      packages: asked.packages,
      debs: await debsOf(making, set, run),
      excludes: set === 'host' ? HOST_EXCLUDES : [],
      excludedDrivers: set === 'host' ? EXCLUDED_DRIVERS : [],
      epoch: plan.epoch,
    }
    return { files: { tree: await packTree(request, scratch, tools, options(run, note)) }, facts: {} }
  })
}

function makeHostRoot(making: Making, tree: Done): Promise<Done> {
  const { plan, place: run, tools, stages, readable } = making
  return runStage(run, stages.hostRoot, async (scratch, note) => {
    const request = {
      host: plan.host,
      secrets: making.secrets,
      version: making.builder,
      treeSquashfs: objectPath(tree, 'tree'),
      entries: await hostEntries(plan.host),
      epoch: plan.epoch,
    }
    const made = await packHostRoot(request, scratch, tools, readable, options(run, note))
    const { root, kernel, initrd, packages } = made
    const files = { root, kernel, initrd, packages }
    return { files, facts: { ...made.tree }, isPrivate: hasSecrets(making.secrets) }
  })
}

function makeDisk(making: Making, guest: GuestPlan, tree: Done | undefined): Promise<Done> {
  const { plan, place: run, tools, stages, readable } = making
  const { source } = guest
  return runStage(run, stages.guestDisks[guest.name] as Stage, async (scratch, note) => {
    if (source.kind === 'image')
      return { files: { disk: await takeImage(source, scratch, tools, run.signal) }, facts: {} }
    // The plan has the guests in the profile's order.
    const place = `guests[${plan.guests.indexOf(guest)}].source.debian`
    const treeSquashfs = objectPath(tree as Done, 'tree')
    const request = { guest, source, place, treeSquashfs, epoch: plan.epoch }
    const files = await packGuestDisk(request, scratch, tools, readable, options(run, note))
    return { files: { ...files }, facts: {} }
  })
}

function makeLibrary(making: Making, disks: Record<string, Done>): Promise<Done> {
  const { plan, place: run, tools, stages } = making
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

function makeLoader({ place: run, tools, stages }: Making): Promise<Done> {
  return runStage(run, stages.loader, async (scratch) => {
    const { boot, core } = await makeBiosLoader(scratch, tools, { serial: true })
    return { files: { boot, core }, facts: {} }
  })
}

function makeEsp(making: Making, host: Done, library: Done, stick: StickManifest): Promise<Done> {
  const { plan, place: run, tools, stages, readable } = making
  return runStage(run, stages.esp, async (scratch) => {
    const manifest = join(scratch, 'manifest.json')
    await writeFile(manifest, `${JSON.stringify(stick, null, 1)}\n`)
    const grub = grubConfig({
      title: `Keyvisor ${plan.name}`,
      announcement: `${LOADING_PREFIX}${plan.name}`,
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
      firmware: plan.stick.firmware,
      grubConfig: grub,
      files,
    }
    await writeEsp(request, image, tools, [...readable, scratch]).catch((error) => {
      throw espTooLarge(error) ?? error
    })
    return { files: { esp: image }, facts: {} }
  })
}

function espTooLarge(cause: KeyvisorError): KeyvisorError | undefined {
  if (cause.code !== 'fat-full') return undefined
  return new KeyvisorError('esp-too-large', `what the ESP must hold is larger than it: ${cause.message}`, {
    hint: 'raise `stick.esp`, or leave it out',
    cause,
  })
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
    dataMinimum: plan.stick.dataMinimum,
    firmware: plan.stick.firmware,
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

/** A payload as manifests name it. */
export function payload(done: Done, name: string): ManifestPayload {
  const { sha256, size } = object(done, name)
  return { sha256, size, rootHash: String(done.facts['rootHash'] ?? '') }
}

function hashTree(done: Done) {
  return { rootHash: String(done.facts['rootHash']), offset: Number(done.facts['offset']) }
}

export function object(done: Done, name: string): StoredObject {
  const found = done.objects[name]
  if (!found) throw new Error(`BUG: the stage made no ${name}`)
  return found
}

function objectPath(done: Done, name: string): string {
  return object(done, name).path
}

function options(place: Workplace, onLine: (line: string) => void) {
  return { onLine, ...(place.signal ? { signal: place.signal } : {}) }
}
