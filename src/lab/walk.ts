/**
 * A walk: one stick goes from PC to PC, is started on each in turn, and shut down in between; or each PC gets a stick of its
 * own, as new.
 *
 * A PC on which it fails, and one that QEMU cannot be, does not end the walk. Left out: how one boot is judged (`prove.ts`),
 * and what a walk proves beyond its boots (`walk-checks.ts`).
 */
import { join } from 'node:path'
import { sha256File } from '../base/digests.js'
import { KeyvisorError } from '../base/errors.js'
import { limited } from '../base/parallel.js'
import { inOneLine } from '../base/tool-errors.js'
import type { Accelerator } from '../guest/definition.js'
import type { ReportEvent } from '../guest/report.js'
import { inspectImage } from '../media/inspect.js'
import { bestAccelerator } from '../pc/accelerator.js'
import type { Machine } from '../pc/catalogue.js'
import { makeOtherSystem } from '../pc/other-system.js'
import type { Workplace } from '../store/workplace.js'
import { openLab } from '../tools/lab-tools.js'
import { type Check, type Proof, type ProveOptions, proveImage } from './prove.js'
import type { Trial } from './trial.js'
import { trialIn } from './trial.js'
import { judgeStop, type Stop } from './walk-checks.js'

export interface WalkOptions extends Pick<ProveOptions, 'keep' | 'stickSize' | 'accelerator' | 'ssh'> {
  /** Each PC gets a stick of its own, as new: nothing is kept from one to the next, and `keep` has no effect. */
  each?: boolean
  /** So many PCs at the same time; of effect with `each` alone, since one stick is in one PC at a time. Default 1. */
  jobs?: number
  /** Folder that gets a folder for each PC. */
  report?: string
  onEvent?: (event: ReportEvent, machine: Machine) => void
  /** Called before each boot. */
  onMachine?: (machine: Machine, index: number) => void
  /** Called after each. */
  onProof?: (machine: Machine, proof: Proof) => void
  /** Called on each PC whose boot has passed, while the stick runs. */
  visit?: (trial: Trial, machine: Machine) => Promise<void>
}

export interface WalkRun {
  machine: Machine
  /** Its checks have those of the walk behind them. */
  proof: Proof
}

export interface Walk {
  passed: boolean
  /** In the order of the file of machines. */
  runs: WalkRun[]
}

/** Boots an image's stick on each machine. Throws what {@link proveImage} throws, but for what {@link visitAll} takes. */
export async function walkImage(
  image: string,
  machines: readonly Machine[],
  options: WalkOptions,
  place: Workplace,
): Promise<Walk> {
  // What is no image ends here, before anything is fetched or made.
  await inspectImage(image)
  const tools = await openLab(place)
  return place.store.inScratch('walk', async (folder) => {
    const accelerator = options.accelerator ?? (await bestAccelerator(tools, folder, place.signal))
    const prove = (machine: Machine, before: readonly Stop[]) =>
      proveOn(image, machine, before, proveOptions(machine, options, accelerator, folder), folder, place)
    return visitAll(machines, options, accelerator, prove)
  })
}

type Visiting = Pick<WalkOptions, 'each' | 'jobs' | 'onMachine' | 'onProof'>

/**
 * Has each machine proven. What QEMU and the tools that make its PC fail at is one PC's failure; everything else is thrown
 * when no PC runs any more, and none is begun after it.
 *
 * @param prove is told what the stick did before; with `each`, that it did nothing
 */
export async function visitAll(
  machines: readonly Machine[],
  { each = false, jobs = 1, onMachine, onProof }: Visiting,
  accelerator: Accelerator,
  prove: (machine: Machine, before: readonly Stop[]) => Promise<Proof>,
): Promise<Walk> {
  const runs: WalkRun[] = []
  let thrown: unknown
  const visit = async (machine: Machine, index: number) => {
    if (thrown) return
    try {
      onMachine?.(machine, index)
      const before = each ? [] : runs.map(({ machine: { name }, proof: { events } }) => ({ name, events }))
      const proof = await prove(machine, before).catch((error) => unproven(machine, accelerator, error))
      runs[index] = { machine, proof }
      onProof?.(machine, proof)
    } catch (error) {
      thrown ??= error
    }
  }
  const take = limited(each ? jobs : 1)
  await Promise.all(machines.map((machine, index) => take(() => visit(machine, index))))
  if (thrown) throw thrown
  return { passed: runs.every(({ proof }) => proof.passed), runs }
}

const OF_ONE_PC = ['qemu-broke', 'qemu-silent', 'tool-failed', 'tool-killed', 'tool-timeout']

/** The proof of a PC on which there was no boot. Throws what is not of that PC. */
function unproven(
  { firmware, memory, cpus, processor }: Machine,
  accelerator: Accelerator,
  error: unknown,
): Proof {
  if (!(error instanceof KeyvisorError) || !OF_ONE_PC.includes(error.code)) throw error
  return {
    passed: false,
    firmware,
    accelerator,
    memory,
    cpus,
    virtualization: processor === 'virtualization',
    checks: [{ name: 'trial', passed: false, detail: inOneLine(error) }],
    events: [],
    seconds: 0,
    serialTail: [],
    shutdown: 'killed',
    timings: [],
    screens: [],
    unseen: [],
    report: null,
  }
}

function proveOptions(
  machine: Machine,
  { each, keep, stickSize, ssh, report, onEvent, visit }: WalkOptions,
  accelerator: Accelerator,
  folder: string,
): ProveOptions {
  return {
    ...trialIn(machine),
    accelerator,
    mayLeaveOut: true,
    ...(each ? {} : { keep: keep ?? join(folder, 'stick.qcow2') }),
    ...(stickSize === undefined ? {} : { stickSize }),
    ...(ssh === undefined ? {} : { ssh }),
    ...(report === undefined ? {} : { report: join(report, machine.name) }),
    onEvent: (event) => onEvent?.(event, machine),
    visit: async (trial) => visit?.(trial, machine),
  }
}

async function proveOn(
  image: string,
  { name, otherSystem }: Machine,
  before: readonly Stop[],
  options: ProveOptions,
  folder: string,
  place: Workplace,
): Promise<Proof> {
  const other = otherSystem ? await makeOtherSystem(join(folder, `${name}.raw`), place) : undefined
  const digest = other && (await sha256File(other.path)).sha256
  const examine: ProveOptions['examine'] = ({ events, manifest: { guests }, pc }, sized) =>
    judgeStop({ name, events }, before, pc, guests, sized)
  const disks = other ? [other] : []
  const proof = await proveImage(image, { ...options, disks, examine }, place)
  if (!other) return proof
  const same = (await sha256File(other.path)).sha256 === digest
  const detail = same ? 'the other system is as it was' : 'the disk of the other system was written to'
  return withCheck(proof, { name: 'other disk', passed: same, detail })
}

function withCheck(proof: Proof, check: Check): Proof {
  return { ...proof, passed: proof.passed && check.passed, checks: [...proof.checks, check] }
}
