/**
 * Space: whether the disk has room for what is still to do, asked before the first byte is written.
 *
 * Rough and on the safe side: a build that is refused although it would just have fitted costs less than one that
 * fails at its end.
 */

import { lookUp } from '../base/lookup.js'
import { type Bytes, GiB, MiB } from '../base/units.js'
import type { GuestPlan, Plan } from '../plan/types.js'
import { checkFree } from '../store/space.js'
import type { Store } from '../store/store.js'
import { payloadSizes, sourceSize, storedStage } from './estimate.js'
import type { PlannedBuild } from './plan-build.js'
import type { Stage } from './stage.js'
import type { Stages } from './stages.js'

/** What a stage takes while it runs, and what of it stays in the store. */
interface Need {
  scratch: Bytes
  result: Bytes
}

/** An unpacked host takes some 900 MiB, an unpacked guest 350 MiB; both are packed to a quarter of that. */
const TREE: Record<'host' | 'guest', Need> = {
  host: { scratch: GiB, result: 300 * MiB },
  guest: { scratch: 512 * MiB, result: 150 * MiB },
}

/** Debian packages and the tools made of them, which come into the store before any stage runs. */
const PACKAGES: Bytes = 600 * MiB

/** Stages that run at the same time have their scratch at the same time. */
const AT_ONCE = 2

/** Room that partition tables, manifests and rounding need beside the payloads. */
const MARGIN: Bytes = 64 * MiB

/** Throws `no-space`, with the figures, before the first byte is written. */
export async function checkSpace({ plan, stages }: PlannedBuild, store: Store, out: string): Promise<void> {
  const sizes = await payloadSizes(plan, stages, store)
  const needs = await openNeeds(plan, stages, store, sizes)
  await checkFree(
    store.folder,
    storeNeed(needs),
    'the store',
    'set KEYVISOR_STORE to a folder with more room',
  )
  const image = sizes.esp + sizes.root + sizes.library + MARGIN
  await checkFree(out, image, 'the folder of the image', 'choose another folder with --out')
}

/** Bytes that the store must have free for these stages; 0 when there are none. */
export function storeNeed(needs: readonly Need[]): Bytes {
  if (needs.length === 0) return 0
  const scratch = needs.map((need) => need.scratch).sort((a, b) => b - a)
  const results = needs.reduce((sum, need) => sum + need.result, 0)
  return results + scratch.slice(0, AT_ONCE).reduce((sum, bytes) => sum + bytes, 0) + MARGIN
}

/** The needs of every stage whose result the store does not have. */
async function openNeeds(
  plan: Plan,
  stages: Stages,
  store: Store,
  sizes: { esp: Bytes; library: Bytes },
): Promise<Need[]> {
  const trees = [stages.hostTree, ...Object.values(stages.guestTrees)]
  const isTree = (stage: Stage) => trees.includes(stage)
  const needs = new Map<Stage, Need>([
    [stages.hostTree, TREE.host],
    [stages.hostRoot, TREE.host],
    [stages.library, { scratch: sizes.library, result: sizes.library }],
    [stages.esp, { scratch: sizes.esp, result: sizes.esp }],
  ])
  for (const guest of plan.guests) {
    const tree = lookUp(stages.guestTrees, guest.name)
    if (tree) needs.set(tree, TREE.guest)
    needs.set(stages.guestDisks[guest.name] as Stage, await diskNeed(guest))
  }
  const open = new Map<string, Need>()
  let packages = false
  for (const [stage, need] of needs) {
    if (await storedStage(store, stage)) continue
    open.set(stage.key, need)
    packages ||= isTree(stage)
  }
  return [...open.values(), ...(packages ? [{ scratch: 0, result: PACKAGES }] : [])]
}

/** A Debian guest's disk is made raw, then compressed; an image is copied and checked. */
async function diskNeed(guest: GuestPlan): Promise<Need> {
  const size = await sourceSize(guest)
  return guest.source.kind === 'image'
    ? { scratch: size, result: size }
    : { scratch: TREE.guest.scratch * 2, result: TREE.guest.result }
}
