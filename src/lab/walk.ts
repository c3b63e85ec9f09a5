/**
 * A walk: one stick goes from PC to PC, and is booted on each in turn.
 *
 * On every PC its guests must be the same machines as on the first, have of that PC what sizing says, remember if they
 * are to remember, and another system's disk must be as it was. Left out: how one boot is judged (`prove.ts`).
 */
import { join } from 'node:path'
import { sha256File } from '../base/digests.js'
import type { ManifestGuest, StickManifest } from '../build/manifest.js'
import type { StageRun } from '../build/stage.js'
import { removeScratch } from '../debian/namespace.js'
import type { GuestEvent, Hardware, HostEvent, ReportEvent } from '../plan/report.js'
import { type Sized, sizeGuests } from '../plan/sizing.js'
import type { VirtualPc } from './machine.js'
import { type Machine, trialIn } from './machines.js'
import { makeOtherSystem } from './other-system.js'
import { type Check, type Proof, type ProveOptions, proveImage } from './prove.js'

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
  runs: WalkRun[]
}

/**
 * Boots an image's stick on each machine in turn. A PC on which it fails does not end the walk. Throws what proveImage
 * throws.
 */
export async function walkImage(
  image: string,
  machines: readonly Machine[],
  options: WalkOptions,
  run: StageRun,
): Promise<Walk> {
  const { onMachine, onProof, report, ...shared } = options
  const folder = await run.store.scratch('walk')
  const memory = new WalkMemory()
  const runs: WalkRun[] = []
  try {
    const keep = options.keep ?? join(folder, 'stick.qcow2')
    for (const [index, machine] of machines.entries()) {
      run.signal?.throwIfAborted()
      onMachine?.(machine, index)
      const prove = {
        ...shared,
        ...trialIn(machine),
        keep,
        ...(report && { report: join(report, machine.name) }),
      }
      const proof = await proveOn(image, machine, prove, memory, folder, run)
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
  machine: Machine,
  options: ProveOptions,
  memory: WalkMemory,
  folder: string,
  run: StageRun,
): Promise<Proof> {
  const other = machine.otherSystem
    ? await makeOtherSystem(join(folder, `${machine.name}.raw`), run)
    : undefined
  const before = other && (await sha256File(other.path)).sha256
  const examine = ({
    events,
    manifest,
    pc,
  }: {
    events: ReportEvent[]
    manifest: StickManifest
    pc: VirtualPc
  }) => memory.judge(events, manifest.guests, sizesOn(pc, manifest.guests, events))
  const proof = await proveImage(
    image,
    { ...options, disks: other ? [other] : [], mayLeaveOut: true, examine },
    run,
  )
  if (!other) return proof
  const same = (await sha256File(other.path)).sha256 === before
  const detail = same ? 'has the same SHA-256 as before' : 'was written to'
  return withCheck(proof, { name: 'other disk', passed: same, detail })
}

/** That the stick was really started by what this PC starts it by. */
export function firmwareCheck(
  { firmware }: Pick<VirtualPc, 'firmware'>,
  events: readonly ReportEvent[],
): Check {
  const host = events.find((event): event is HostEvent => event.event === 'host')
  const secure = host?.secureBoot === 'enabled'
  const wanted = firmware === 'bios' ? 'bios' : 'uefi'
  const passed = host?.firmware === wanted && secure === (firmware === 'secureboot')
  const detail = host ? `${host.firmware}, Secure Boot ${host.secureBoot}` : 'the host did not say'
  return { name: 'firmware', passed, detail }
}

function withCheck(proof: Proof, check: Check): Proof {
  return { ...proof, passed: proof.passed && check.passed, checks: [...proof.checks, check] }
}

/**
 * What each guest is to have of a PC. Whether a PC under KVM has virtualization for the stick's guests, this machine's own
 * kernel decides: then the host's word counts.
 */
export function sizesOn(
  {
    memory,
    cpus,
    accelerator,
    virtualization,
  }: Pick<VirtualPc, 'memory' | 'cpus' | 'accelerator' | 'virtualization'>,
  guests: readonly ManifestGuest[],
  events: readonly ReportEvent[],
): Sized[] {
  const host = events.find((event): event is HostEvent => event.event === 'host')
  const kvm = virtualization && (accelerator === 'tcg' || host?.accelerator === 'kvm')
  return sizeGuests(guests, { memory, cpus, kvm })
}

/** What was seen of each guest on the PCs before. */
export class WalkMemory {
  readonly #hardware = new Map<string, Hardware>()
  readonly #counts = new Map<string, number>()

  /** The walk's own checks of one boot; remembers what it saw. */
  judge(events: readonly ReportEvent[], guests: readonly ManifestGuest[], sizes: readonly Sized[]): Check[] {
    return guests.flatMap((guest) => {
      const told = events.findLast((event) => event.event === 'guest' && event.name === guest.name)
      const sized = sizes.find(({ name }) => name === guest.name)
      if (!sized?.start || told?.event !== 'guest') return []
      return [sizeCheck(told, sized), this.#identityCheck(told), ...this.#countCheck(told, guest)]
    })
  }

  #identityCheck({ name, hardware }: GuestEvent): Check {
    const check = (passed: boolean, detail: string) => ({ name: `identity ${name}`, passed, detail })
    if (!hardware) return check(false, 'the stick does not say what hardware it has')
    const first = this.#hardware.get(name)
    if (!first) {
      this.#hardware.set(name, hardware)
      return check(true, `UUID ${hardware.uuid}`)
    }
    const keys = ['uuid', 'serial', 'macs', 'diskSerials'] as const
    const moved = keys.filter((key) => JSON.stringify(first[key]) !== JSON.stringify(hardware[key]))
    if (moved.length === 0)
      return check(true, 'the same UUID, serial, MACs and disk serials as on the first PC')
    const words = moved.map((key) => `${key} was ${first[key]}, is ${hardware[key]}`)
    return check(false, words.join('; '))
  }

  /** Of a guest that says a number, such as `start number 2`: one more than on the PC before, or always the same. */
  #countCheck({ name, said }: GuestEvent, { changes }: ManifestGuest): Check[] {
    const text = /(\d+)\D*$/.exec(said)?.[1]
    if (text === undefined) return []
    const count = Number(text)
    const before = this.#counts.get(name)
    this.#counts.set(name, count)
    const wanted = before === undefined ? count : before + (changes === 'keep' ? 1 : 0)
    const what = changes === 'keep' ? 'remembers' : 'forgets'
    const detail = count === wanted ? `${what}: ${count}` : `said ${count}, and ${wanted} was to come`
    return [{ name: `count ${name}`, passed: count === wanted, detail }]
  }
}

function sizeCheck({ name, memory, cpus, accelerator }: GuestEvent, sized: Sized): Check {
  const words = (of: Pick<Sized, 'memory' | 'cpus' | 'accelerator'>) =>
    `${of.memory} bytes, ${of.cpus} CPUs, ${of.accelerator}`
  const [has, wanted] = [words({ memory, cpus, accelerator }), words(sized)]
  const detail = has === wanted ? 'as planned for this PC' : `has ${has}; planned for this PC: ${wanted}`
  return { name: `size ${name}`, passed: has === wanted, detail }
}
