/**
 * The stages of a build: a pure function of the plan, the lock and what was read from files.
 *
 * What a stage is made of and how stands with its maker; here is who reads whom.
 */
import type { Sha256 } from '../base/digests.js'
import { espStage, stickFacts } from '../host/esp.js'
import { loaderStage } from '../host/loader.js'
import { type RootInputs, rootStage } from '../host/root.js'
import { settingsStage } from '../host/settings.js'
import { hostTreeStage } from '../host/tree.js'
import { type ImageParts, imageIdentity } from '../image/image.js'
import { guestSet, type Prepared, plannedBases, treePackages } from '../prepare/prepare.js'
import type { Base } from '../sources/base.js'
import { libraryStage } from '../sources/library.js'
import type { SourceBuild } from '../sources/source.js'
import { sourceStages } from '../sources/sources.js'
import { type Common, type Stage, type StageIdentity, stageOf } from '../store/stage.js'

/** What was read before the keys could be made. */
export interface BuildFacts extends Common {
  /** What is laid over the host's tree. */
  hostFiles: RootInputs['files']
  /** What was read of each base's source, by the stage that makes the base. */
  read: Record<string, unknown>
  /** Version of the builder's own mmdebstrap. */
  mmdebstrap: string
}

export interface Stages {
  hostTree: Stage
  hostRoot: Stage
  /** Those that bases are made from, by the name of the stage. */
  beforeBases: Record<string, Stage>
  /** Every base, by the name that the plan has for its stage. */
  bases: Record<string, Base>
  library: Stage
  loader: Stage
  esp: Stage
  settings: Stage
  /** No object of the store: it is written where it will be. */
  image: StageIdentity
}

type GuestPlan = Prepared['plan']['guests'][number]
type Planned = Pick<Prepared, 'plan' | 'lock' | 'secrets' | 'builder'>

export function planStages(prepared: Planned, facts: BuildFacts): Stages {
  const { plan, secrets, builder } = prepared
  const { epoch, host, network } = plan
  const hostTree = stageOf(
    hostTreeStage({ ...treePackages(prepared, 'host', host), mmdebstrap: facts.mmdebstrap }),
    facts,
  )
  const { files: _, kernelArguments, ...hostSettings } = host
  const root = { settings: hostSettings, version: builder, secrets, epoch }
  const hostRoot = stageOf(rootStage({ ...root, files: facts.hostFiles }, hostTree), facts)
  const { beforeBases, bases } = baseStages(prepared, facts)
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
  const esp = stageOf(espStage(boot, { root: hostRoot, library }), facts)
  const settings = stageOf(settingsStage({ name: plan.name, size: plan.stick.settings, epoch }), facts)
  const parts = { loader, esp, root: hostRoot, settings, library }
  const image = imageIdentity(plan, parts, facts.programOf)
  return { hostTree, hostRoot, beforeBases, bases, library, loader, esp, settings, image }
}

function baseStages(prepared: Planned, facts: BuildFacts): Pick<Stages, 'beforeBases' | 'bases'> {
  const { guests, epoch, stick } = prepared.plan
  const { architecture } = stick
  const { programOf, tools, mmdebstrap } = facts
  const beforeBases: Record<string, Stage> = Object.create(null)
  const bases: Record<string, Base> = Object.create(null)
  for (const planned of plannedBases(prepared.plan)) {
    const { stage, guest, source } = planned
    const build: SourceBuild = {
      programOf,
      tools,
      architecture,
      epoch,
      place: `guests[${guests.indexOf(guest)}].source.${source.kind}`,
      tree: (asked) => ({ ...treePackages(prepared, guestSet(guest), asked), mmdebstrap }),
    }
    if (!Object.hasOwn(facts.read, stage)) throw new Error(`BUG: nothing was read of guest ${guest.name}`)
    const { before, base } = sourceStages(planned, facts.read[stage], build)
    for (const item of before) beforeBases[item.name] = item
    bases[stage] = base
  }
  return { beforeBases, bases }
}

/** A guest without where its disk comes from: that is in the key of its disk. */
function definitionOf({ source: _, images: __, ...definition }: GuestPlan) {
  return definition
}

/** What the image is put together from. */
export function imageParts({ loader, esp, hostRoot: root, settings, library }: Stages): ImageParts {
  return { loader, esp, root, settings, library }
}

/** Every stage with a result in the store, in the order in which a build runs them; trees that are shared once. */
export function storedStages(stages: Stages): Stage[] {
  const { hostTree, hostRoot, beforeBases, bases, library, loader, esp, settings } = stages
  const made = Object.values(bases).flatMap((base) => (base.kind === 'made' ? [base.stage] : []))
  const all = [hostTree, hostRoot, ...Object.values(beforeBases), ...made]
  const unique = new Map<Sha256, Stage>()
  for (const item of [...all, library, loader, esp, settings])
    if (!unique.has(item.key)) unique.set(item.key, item)
  return [...unique.values()]
}

/** The same, and the image. */
export function stageList(stages: Stages): StageIdentity[] {
  return [...storedStages(stages), stages.image]
}
