/**
 * What `plan --on` says of a PC, against what the stick does on that PC: the numbers of its report, and those of the
 * QEMU processes that run there.
 */
import { resolve } from 'node:path'
import type { Test } from 'tap'
import { systemTools } from '../../src/base/tool.js'
import { type Bytes, formatBytes, GiB, KiB } from '../../src/base/units.js'
import type { GuestEvent } from '../../src/guest/report.js'
import type { Sized } from '../../src/guest/sizing.js'
import { type Trial, withTrial } from '../../src/lab/trial.js'
import { PROGRAM } from './builders/builder.js'
import { type Demo, isEvent, onStick, serialText, waitFor } from './demo.js'

export const PROFILE = 'fixtures/sticks/machines.yaml'

export interface Pc {
  memory: Bytes
  cpus: number
  virtualization: boolean
}

/** One for each pair of memory and virtualization; CPUs are spread over them. */
export const PCS: Pc[] = [
  { memory: GiB, cpus: 1, virtualization: true },
  { memory: GiB, cpus: 2, virtualization: false },
  { memory: 2 * GiB, cpus: 2, virtualization: true },
  { memory: 2 * GiB, cpus: 1, virtualization: false },
  { memory: 4 * GiB, cpus: 4, virtualization: true },
  { memory: 4 * GiB, cpus: 2, virtualization: false },
  { memory: 8 * GiB, cpus: 2, virtualization: true },
  { memory: 8 * GiB, cpus: 4, virtualization: false },
]

export function pcName({ memory, cpus, virtualization }: Pc): string {
  return `${formatBytes(memory)}, ${cpus} CPUs, ${virtualization ? 'SVM' : 'no SVM'}`
}

/** One guest's numbers. */
interface Numbers {
  name: string
  runs: boolean
  memory: Bytes
  cpus: number
  accelerator: string
}

/** Starts the stick on a PC, and compares. */
export async function checkPc(t: Test, demo: Demo, lock: string, pc: Pc): Promise<void> {
  const planned = await plannedFor(lock, pc)
  t.equal(planned.length, 4)
  await withTrial(demo.image, { accelerator: 'tcg', ssh: true, ...pc }, demo.place, async (trial) => {
    const done = await waitFor(trial, 600, isEvent('done'))
    if (!t.ok(done, 'the stick is done', { serial: (await serialText(trial)).slice(-2000) })) return
    t.match(trial.events[0], { event: 'host', memory: pc.memory, cpus: pc.cpus })
    const told = trial.events.filter((event): event is GuestEvent => event.event === 'guest')
    t.strictSame(told.map(fromEvent), planned, 'the report')
    const running = planned.filter(({ runs }) => runs)
    t.strictSame(told.flatMap(ofHardware), running, "the report's hardware")
    t.strictSame(await processesOn(trial), running, 'the processes')
    t.comment(`done after ${done?.seconds} s; ${running.map(inWords).join(', ') || 'no guest'}`)
  })
}

async function plannedFor(lock: string, { memory, cpus, virtualization }: Pc): Promise<Numbers[]> {
  const on = `ram=${memory / GiB}GiB,cpus=${cpus},kvm=${virtualization ? 'yes' : 'no'}`
  // Tools start in the top folder.
  const args = [PROGRAM, 'plan', resolve(PROFILE), '--lock', resolve(lock), '--on', on, '--json']
  const { stdout } = await systemTools.run({ tool: process.execPath, args })
  const { guests } = JSON.parse(stdout) as { guests: { sized: Sized }[] }
  return guests.map(({ sized }) => ({ ...numbersOf(sized), runs: sized.start }))
}

function fromEvent(event: GuestEvent): Numbers {
  return { ...numbersOf(event), runs: event.state === 'started' }
}

/** What the stick read of the guest's QEMU. */
function ofHardware({ name, hardware }: GuestEvent): Numbers[] {
  return hardware ? [{ ...numbersOf({ ...hardware, name }), runs: true }] : []
}

function numbersOf({
  name,
  memory,
  cpus,
  accelerator,
}: Pick<Sized, 'name' | 'memory' | 'cpus' | 'accelerator'>) {
  return { name, memory, cpus, accelerator: accelerator as string }
}

/** The QEMU processes of the stick, in the order of their start, by their arguments. */
async function processesOn(trial: Trial): Promise<Numbers[]> {
  const command = `for pid in $(pgrep -f '^/usr/bin/qemu-system'); do tr '\\0' ' ' < /proc/$pid/cmdline; echo; done`
  const lines = (await onStick(trial, command)).split('\n').filter(Boolean)
  return lines.map((line) => {
    const [, name = ''] = /-name guest=([^, ]+)/.exec(line) ?? []
    const [, kilobytes = ''] = /-m size=(\d+)k/.exec(line) ?? []
    const [, cpus = ''] = /-smp (\d+)/.exec(line) ?? []
    const [, accelerator = ''] = /-accel (\w+)/.exec(line) ?? []
    return { name, memory: Number(kilobytes) * KiB, cpus: Number(cpus), accelerator, runs: true }
  })
}

function inWords({ name, memory, cpus, accelerator }: Numbers): string {
  return `${name} ${formatBytes(memory)} ${cpus} CPUs ${accelerator}`
}
