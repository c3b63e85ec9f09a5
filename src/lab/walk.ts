/**
 * A walk: one stick goes from PC to PC, is started on each in turn, and shut down in between.
 *
 * Left out: how one boot is judged (`prove.ts`), and what a walk proves beyond its boots (`walk-checks.ts`).
 */
import { join } from 'node:path'
import { sha256File } from '../base/digests.js'
import type { StageRun } from '../build/stage.js'
import { inspectionTools } from '../build/tools.js'
import { removeScratch } from '../debian/namespace.js'
import { inspectImage } from '../media/inspect.js'
import { type Machine, trialIn } from './machines.js'
import { makeOtherSystem } from './other-system.js'
import { type Check, type Proof, type ProveOptions, proveImage } from './prove.js'
import { judgeStop, type Stop } from './walk-checks.js'

export interface WalkOptions
  extends Pick<ProveOptions, 'keep' | 'stickSize' | 'accelerator' | 'onEvent' | 'onSerial'> {
  /** Folder that gets a folder for each PC. */
  report?: string
  /** Called before each boot. */
  onMachine?: (machine: Machine, index: number) => void
  /** Called after each. */
  onProof?: (machine: Machine, proof: Proof) => void
}

export interface WalkRun {
  machine: Machine
  /** Its checks have those of the walk behind them. */
  proof: Proof
}

export interface Walk {
  passed: boolean
  /** In the order of the walk. */
  runs: WalkRun[]
}

/**
 * Boots an image's stick on each machine in turn. A PC on which it fails does not end the walk. Throws what
 * {@link proveImage} throws.
 */
export async function walkImage(
  image: string,
  machines: readonly Machine[],
  options: WalkOptions,
  run: StageRun,
): Promise<Walk> {
  const { onMachine, onProof, report, ...shared } = options
  // What is no image ends here, before anything is fetched or made.
  await inspectImage(image, inspectionTools())
  const folder = await run.store.scratch('walk')
  const runs: WalkRun[] = []
  try {
    const keep = options.keep ?? join(folder, 'stick.qcow2')
    for (const [index, machine] of machines.entries()) {
      onMachine?.(machine, index)
      const place = report === undefined ? {} : { report: join(report, machine.name) }
      const prove: ProveOptions = { ...shared, ...trialIn(machine), ...place, keep }
      const before = runs.map(({ machine: { name }, proof: { events } }) => ({ name, events }))
      const proof = await proveOn(image, machine, before, prove, folder, run)
      onProof?.(machine, proof)
      runs.push({ machine, proof })
    }
  } finally {
    await removeScratch(folder)
  }
  return { passed: runs.every(({ proof }) => proof.passed), runs }
}

async function proveOn(
  image: string,
  { name, otherSystem }: Machine,
  before: readonly Stop[],
  options: ProveOptions,
  folder: string,
  run: StageRun,
): Promise<Proof> {
  const other = otherSystem ? await makeOtherSystem(join(folder, `${name}.raw`), run) : undefined
  const digest = other && (await sha256File(other.path)).sha256
  const examine: ProveOptions['examine'] = ({ events, manifest: { guests }, pc }, sized) =>
    judgeStop({ name, events }, before, pc, guests, sized)
  const disks = other ? [other] : []
  const proof = await proveImage(image, { ...options, disks, mayLeaveOut: true, examine }, run)
  if (!other) return proof
  const same = (await sha256File(other.path)).sha256 === digest
  const detail = same ? 'the other system is as it was' : 'the disk of the other system was written to'
  return withCheck(proof, { name: 'other disk', passed: same, detail })
}

function withCheck(proof: Proof, check: Check): Proof {
  return { ...proof, passed: proof.passed && check.passed, checks: [...proof.checks, check] }
}
