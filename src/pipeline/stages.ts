/**
 * The stages of a build and their keys: a pure function of the plan, the lock and digests of our own files.
 */

import type { Json, Sha256 } from '../base/digests.js'
import { lookUp } from '../base/lookup.js'
import { setDigest } from '../lock/lock.js'
import type { Lock } from '../lock/types.js'
import type { GuestPlan, Plan } from '../plan/types.js'
import { type Stage, stage } from './stage.js'

/** What was read from files before the keys could be made. */
export interface InputDigests {
  /** Keyvisor itself (program.ts). */
  program: Sha256
  /** What is laid over the host's tree, the user's files among it. */
  hostEntries: Sha256
  /** Of the secrets in the host's root: a slow one, since keys are published. Empty where there are none. */
  secrets: string
  /** Version of Keyvisor, which the host shows. */
  version: string
  /** The same of each guest from Debian packages. */
  guestEntries: Record<string, Sha256>
  /** Version of the builder's own mmdebstrap, the one tool that comes from no tree. */
  mmdebstrap: string
  /** Which tools make the bytes: the digest of the tree's packages, or a word that says they are the machine's. */
  tools: string
}

export interface Stages {
  hostTree: Stage
  hostRoot: Stage
  /** Of guests from Debian packages. */
  guestTrees: Record<string, Stage>
  guestDisks: Record<string, Stage>
  library: Stage
  loader: Stage
  esp: Stage
  image: Stage
}

/**
 * Drivers that no host of virtual machines needs: a third of the kernel's modules. Which of them stay because a kept module
 * needs them is found in the tree (`debian/tree.sh`).
 */
export const EXCLUDED_DRIVERS = [
  ...['sound', 'drivers/media', 'drivers/staging', 'drivers/infiniband', 'drivers/isdn', 'drivers/iio'],
  ...['drivers/gpu/drm/amd', 'drivers/gpu/drm/nouveau', 'drivers/gpu/drm/xe', 'drivers/accel'],
]

/** What is not unpacked into a host's tree: nobody reads manuals on a stick. */
export const HOST_EXCLUDES = [
  ...['doc', 'man', 'info', 'locale', 'lintian', 'bug'].map((name) => `path-exclude=/usr/share/${name}/*`),
  'path-include=/usr/share/doc/*/copyright',
]

export function planStages(plan: Plan, lock: Lock, digests: InputDigests): Stages {
  const { program } = digests
  const common = { program, tools: digests.tools, epoch: plan.epoch }
  const tree = (name: string, title: string, set: string, rest: Record<string, Json>) =>
    stage(name, 1, title, {
      ...common,
      packages: setDigest(lock, set),
      mmdebstrap: digests.mmdebstrap,
      ...rest,
    })

  const hostTree = tree('tree.host', 'install the host', 'host', {
    asked: plan.host.packages,
    excludes: HOST_EXCLUDES,
    drivers: EXCLUDED_DRIVERS,
  })
  const { files: _, kernelArguments, ...hostSettings } = plan.host
  const hostRoot = stage('root', 3, 'make the host root', {
    ...common,
    tree: hostTree.key,
    entries: digests.hostEntries,
    version: digests.version,
    settings: hostSettings as unknown as Json,
    secrets: digests.secrets,
  })

  const guestTrees: Record<string, Stage> = {}
  const guestDisks: Record<string, Stage> = {}
  for (const guest of plan.guests) {
    const { name, source } = guest
    if (source.kind === 'debian') {
      const rest = { asked: source.packages, excludes: [], drivers: [] }
      guestTrees[name] = tree(`tree.${name}`, `install guest ${name}`, `guest.${name}`, rest)
    }
    guestDisks[name] = guestDisk(guest, guestTrees[name], digests, common)
  }

  const library = stage('library', 1, 'pack the library', {
    ...common,
    name: plan.name,
    network: plan.network as unknown as Json,
    guests: plan.guests.map(definitionOf) as unknown as Json,
    disks: plan.guests.map((guest) => (guestDisks[guest.name] as Stage).key),
  })
  const loader = stage('loader', 2, 'make the BIOS boot loader', common)
  const esp = stage('esp', 3, 'pack the boot partition', {
    ...common,
    root: hostRoot.key,
    library: library.key,
    kernelArguments,
    size: plan.stick.esp,
    firmware: plan.stick.firmware,
    dataMinimum: plan.stick.dataMinimum,
    name: plan.name,
  })
  const image = stage('image', 3, 'assemble the image', {
    program,
    esp: esp.key,
    root: hostRoot.key,
    library: library.key,
    loader: loader.key,
    stick: plan.stick as unknown as Json,
    name: plan.name,
  })
  return { hostTree, hostRoot, guestTrees, guestDisks, library, loader, esp, image }
}

function guestDisk(
  guest: GuestPlan,
  tree: Stage | undefined,
  digests: InputDigests,
  common: { program: Sha256; tools: string; epoch: number },
): Stage {
  const { source, name } = guest
  if (source.kind === 'image') {
    return stage(`import.${name}`, 1, `check the image of guest ${name}`, {
      program: common.program,
      tools: common.tools,
      sha256: source.sha256,
      format: source.format,
    })
  }
  return stage(`disk.${name}`, 3, `make the disk of guest ${name}`, {
    ...common,
    tree: (tree as Stage).key,
    entries: lookUp(digests.guestEntries, name) ?? missing(name),
    // The disk's GUIDs and the file system's UUID derive from it.
    uuid: guest.uuid,
    units: source.units,
    sources: source.sources,
    size: source.size,
  })
}

/** A guest without where its disk comes from: that is in the key of its disk. */
function definitionOf({ source: _, ...definition }: GuestPlan) {
  return definition
}

function missing(path: string): never {
  throw new Error(`BUG: no digest of ${path}`)
}

/** Every stage in the order in which a build runs them, trees that are shared once. */
export function stageList(stages: Stages): Stage[] {
  const { hostTree, hostRoot, guestTrees, guestDisks, library, loader, esp, image } = stages
  const all = [hostTree, hostRoot, ...Object.values(guestTrees), ...Object.values(guestDisks)]
  const unique = new Map<string, Stage>()
  for (const item of [...all, library, loader, esp, image]) {
    if (!unique.has(item.key)) unique.set(item.key, item)
  }
  return [...unique.values()]
}
