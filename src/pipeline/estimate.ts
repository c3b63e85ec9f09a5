/**
 * Estimates: what is known of a build before it runs. Exact where the store has a stage's result, else rough.
 */
import { stat } from 'node:fs/promises'
import { type Bytes, KiB, MiB } from '../base/units.js'
import type { GuestPlan, Plan } from '../plan/types.js'
import { estimateLayout, type Layout, layoutStick, type PayloadName, type Payloads } from '../stick/layout.js'
import type { StageRecord, Store } from '../store/store.js'
import type { Stage } from './stage.js'
import type { Stages } from './stages.js'

/** Measured on the demo: root 180 MiB with its tree, a guest's disk 113 MiB, GRUB's core image 185 KiB. */
const USUAL: { root: Bytes; disk: Bytes; core: Bytes } = { root: 182 * MiB, disk: 115 * MiB, core: 186 * KiB }

/** A library is larger than its disks by its file system and hash tree: 7 % on the demo. */
const LIBRARY_OVERHEAD = 1.07

/** What the store has of a stage, when all its objects are there; undefined when it is still to do. */
export async function storedStage(store: Store, { key }: Stage): Promise<StageRecord | undefined> {
  const record = await store.readRecord(key)
  if (!record) return undefined
  for (const { sha256, size } of Object.values(record.objects)) {
    if (!(await store.has(sha256, size))) return undefined
  }
  return record
}

/**
 * The layout that a build will have: exact when the store has every payload, else an estimate. Throws, where it is
 * exact, what layoutStick throws.
 */
export async function foreseeLayout(plan: Plan, stages: Stages, store: Store): Promise<Layout> {
  const { biosBoot, esp, root, library } = await storedPayloads(stages, store)
  if (biosBoot && esp && root && library) {
    return layoutStick(plan.stick, plan.name, { biosBoot, esp, root, library })
  }
  return estimatedLayout(plan, stages, store)
}

/** The same from sizes alone: no GUIDs, and nothing is checked. */
export async function estimatedLayout(plan: Plan, stages: Stages, store: Store): Promise<Layout> {
  return estimateLayout(plan.stick, await payloadSizes(plan, stages, store))
}

/** Bytes of each payload, measured or estimated. */
export async function payloadSizes(
  plan: Plan,
  stages: Stages,
  store: Store,
): Promise<Record<PayloadName, Bytes>> {
  const known = await storedPayloads(stages, store)
  return {
    biosBoot: known.biosBoot?.size ?? USUAL.core,
    esp: plan.stick.esp,
    root: known.root?.size ?? USUAL.root,
    library: known.library?.size ?? (await librarySize(plan, stages, store)),
  }
}

async function storedPayloads(stages: Stages, store: Store): Promise<Partial<Payloads>> {
  const parts = { biosBoot: 'core', esp: 'esp', root: 'root', library: 'library' } as const
  const of = { biosBoot: stages.loader, esp: stages.esp, root: stages.hostRoot, library: stages.library }
  const found: Partial<Payloads> = {}
  for (const name of Object.keys(parts) as PayloadName[]) {
    const object = (await storedStage(store, of[name]))?.objects[parts[name]]
    if (object) found[name] = object
  }
  return found
}

async function librarySize(plan: Plan, stages: Stages, store: Store): Promise<Bytes> {
  let disks = 0
  for (const guest of plan.guests) disks += await diskSize(guest, stages, store)
  return Math.ceil(MiB + disks * LIBRARY_OVERHEAD)
}

async function diskSize(guest: GuestPlan, stages: Stages, store: Store): Promise<Bytes> {
  const record = await storedStage(store, stages.guestDisks[guest.name] as Stage)
  return record?.objects['disk']?.size ?? (await sourceSize(guest))
}

/** What a guest's disk will take, by what it is made from. Holes of an image stay holes (stat(2): blocks of 512). */
export async function sourceSize({ source }: GuestPlan): Promise<Bytes> {
  if (source.kind !== 'image') return USUAL.disk
  const { size, blocks } = await stat(source.path)
  return Math.min(size, blocks * 512)
}
