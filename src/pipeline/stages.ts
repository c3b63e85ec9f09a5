/**
 * The stages of a build: a pure function of the plan, the lock and what was read from files.
 *
 * What a stage is made of and how stands with its maker; here is who reads whom.
 */
import type { Sha256 } from '../base/digests.js'
import { Keyed } from '../base/keyed.js'
import { lookUp } from '../base/lookup.js'
import type { Bytes } from '../base/units.js'
import { espStage, stickFacts } from '../host/esp.js'
import { loaderStage } from '../host/loader.js'
import { type RootInputs, rootStage } from '../host/root.js'
import { settingsStage } from '../host/settings.js'
import { hostTreeStage } from '../host/tree.js'
import { type ImageParts, imageIdentity } from '../image/image.js'
import { type PlannedBase, type Prepared, plannedBases, treePackages } from '../prepare/prepare.js'
import { type DiskInputs, diskStage, guestTreeStage } from '../sources/debian/disk.js'
import { imageStage } from '../sources/image/disk.js'
import { libraryStage } from '../sources/library.js'
import { type Common, type Stage, type StageIdentity, stageOf } from '../store/stage.js'

/** What was read before the keys could be made. */
export interface BuildFacts extends Common {
  /** What is laid over the host's tree. */
  hostFiles: RootInputs['files']
  /** The same of each guest from Debian packages. */
  guestFiles: Record<string, DiskInputs['files']>
  /** What each image takes on its disk, by the stage that takes it. */
  occupied: Record<string, Bytes>
  /** Version of the builder's own mmdebstrap. */
  mmdebstrap: string
}

export interface Stages {
  hostTree: Stage
  hostRoot: Stage
  /** Of guests from Debian packages. */
  guestTrees: Record<string, Stage>
  /** Every base, by the name of its stage. */
  bases: Record<string, Stage>
  library: Stage
  loader: Stage
  esp: Stage
  settings: Stage
  /** No object of the store: it is written where it will be. */
  image: StageIdentity
}

type GuestPlan = PlannedBase['guest']
type ImageFile = GuestPlan['images'][string]
type Planned = Pick<Prepared, 'plan' | 'lock' | 'secrets' | 'builder'>

export function planStages(prepared: Planned, facts: BuildFacts): Stages {
  const { plan, secrets, builder } = prepared
  const { epoch, host, network } = plan
  const hostTree = stageOf(
    hostTreeStage({ ...treePackages(prepared, 'host'), mmdebstrap: facts.mmdebstrap }),
    facts,
  )
  const { files: _, kernelArguments, ...hostSettings } = host
  const root = { settings: hostSettings, version: builder, secrets, epoch }
  const hostRoot = stageOf(rootStage({ ...root, files: facts.hostFiles }, hostTree), facts)
  const { guestTrees, bases } = guestStages(prepared, facts)
  const definitions = { name: plan.name, network, guests: plan.guests.map(definitionOf), epoch }
  const library = stageOf(libraryStage(definitions, bases), facts)
  const loader = stageOf(loaderStage(plan.stick.architecture), facts)
  const manifest = stickFacts(prepared)
  const boot = {
    architecture: plan.stick.architecture,
    size: plan.stick.esp,
    kernelArguments,
    manifest,
    epoch,
  }
  const esp = stageOf(espStage(boot, { root: hostRoot, library, ...bases }), facts)
  const settings = stageOf(settingsStage({ name: plan.name, size: plan.stick.settings, epoch }), facts)
  const parts = { loader, esp, root: hostRoot, settings, library }
  const image = imageIdentity(plan, parts, facts.programOf)
  return { hostTree, hostRoot, guestTrees, bases, library, loader, esp, settings, image }
}

function guestStages(prepared: Planned, facts: BuildFacts): Pick<Stages, 'guestTrees' | 'bases'> {
  const guestTrees: Record<string, Stage> = Object.create(null)
  const bases: Record<string, Stage> = Object.create(null)
  for (const { stage, guest, source } of plannedBases(prepared.plan)) {
    const { name, uuid } = guest
    if (source.kind === 'image') {
      bases[stage] = stageOf(takeStage(stage, guest, source, facts), facts)
      continue
    }
    const packages = { ...treePackages(prepared, `guest.${name}`), mmdebstrap: facts.mmdebstrap }
    const tree = stageOf(guestTreeStage(name, packages), facts)
    const { size, units } = source
    const files = lookUp(facts.guestFiles, name) ?? missing(name)
    const place = new Keyed(`guests[${prepared.plan.guests.indexOf(guest)}].source.debian`, '')
    const { epoch, stick } = prepared.plan
    guestTrees[name] = tree
    bases[stage] = stageOf(
      diskStage({ architecture: stick.architecture, name, uuid, size, units, files, place, epoch }, tree),
      facts,
    )
  }
  return { guestTrees, bases }
}

function takeStage(stage: string, guest: GuestPlan, source: ImageFile, { occupied }: BuildFacts) {
  const { path, format, sha256, size } = source
  const inputs = { path: new Keyed(path, ''), format, sha256, size }
  const drive = source === guest.source ? 'the image' : stage.split('.').at(-1)
  const title = `check ${drive} of guest ${guest.name}`
  return imageStage(stage, title, inputs, lookUp(occupied, stage) ?? missing(guest.name))
}

/** A guest without where its disk comes from: that is in the key of its disk. */
function definitionOf({ source: _, images: __, ...definition }: GuestPlan) {
  return definition
}

function missing(guest: string): never {
  throw new Error(`BUG: nothing was read of guest ${guest}`)
}

/** What the image is put together from. */
export function imageParts({ loader, esp, hostRoot: root, settings, library }: Stages): ImageParts {
  return { loader, esp, root, settings, library }
}

/** Every stage with a result in the store, in the order in which a build runs them; trees that are shared once. */
export function storedStages(stages: Stages): Stage[] {
  const { hostTree, hostRoot, guestTrees, bases, library, loader, esp, settings } = stages
  const all = [hostTree, hostRoot, ...Object.values(guestTrees), ...Object.values(bases)]
  const unique = new Map<Sha256, Stage>()
  for (const item of [...all, library, loader, esp, settings])
    if (!unique.has(item.key)) unique.set(item.key, item)
  return [...unique.values()]
}

/** The same, and the image. */
export function stageList(stages: Stages): StageIdentity[] {
  return [...storedStages(stages), stages.image]
}
