/**
 * Machines: named PCs from a file, ours (`machines.yaml`) or a user's own, checked as profiles are.
 *
 * Spec: `schemas/machines.schema.json`. Left out: what QEMU makes of one (`virtual-pc.ts`).
 */
import { readFileSync } from 'node:fs'
import { EXIT, KeyvisorError, type Problem } from '../base/errors.js'
import { packageFile } from '../base/package.js'
import { type Bytes, formatBytes, formatCpus, parseBytes } from '../base/units.js'
import { type Finding, sortProblems, toProblem } from '../yaml/problems.js'
import { schemaCheck } from '../yaml/schema.js'
import { readSource } from '../yaml/source.js'
import { closest } from '../yaml/wording.js'
import type { Machine as MachineEntry, Machines } from './machines.gen.js'
import type { Board } from './virtual-pc.js'

/** A PC with nothing left open. */
export interface Machine {
  name: string
  description: string
  firmware: MachineEntry['firmware']
  memory: Bytes
  cpus: number
  processor: Required<MachineEntry>['processor']
  /** Whether an internal disk carries another system. */
  otherSystem: boolean
  board: Board
}

/** The PCs that this program comes with. */
export const MACHINES_FILE = packageFile('src/pc/machines.yaml')

const checkSchema = schemaCheck(JSON.parse(readFileSync(packageFile('schemas/machines.schema.json'), 'utf8')))

/** Reads a file of PCs. Throws KeyvisorError `invalid-machines` with every problem, and exit code 2. */
export async function loadMachines(file: string): Promise<Machine[]> {
  const { source, findings } = await readSource(file)
  const problems = findings.map((finding) => toProblem(finding, file, finding.position))
  if (!source) throw invalid(file, problems)
  const found = checkMachines(source.value)
  problems.push(...found.map((one) => toProblem(one, file, source.positionOf(one.path, one.at))))
  if (problems.some(({ severity }) => severity === 'error')) throw invalid(file, problems)
  return (source.value as Machines).machines.map(machineOf)
}

function invalid(file: string, problems: Problem[]): KeyvisorError {
  const errors = problems.filter(({ severity }) => severity === 'error').length
  return new KeyvisorError('invalid-machines', `${file} has ${errors} ${errors === 1 ? 'error' : 'errors'}`, {
    exitCode: EXIT.usage,
    problems: sortProblems(problems),
  })
}

function checkMachines(value: unknown): Finding[] {
  const findings = checkSchema(value)
  return findings.length > 0 ? findings : (value as Machines).machines.flatMap(checkMachine)
}

/** What the schema cannot say. */
function checkMachine(machine: MachineEntry, index: number, all: MachineEntry[]): Finding[] {
  const place = (key: keyof MachineEntry) => ['machines', index, key]
  const findings: Finding[] = []
  const first = all.findIndex(({ name }) => name === machine.name)
  if (first < index) {
    const message = `machines[${first}] has the name ${machine.name}, too`
    findings.push({ code: 'duplicate-name', path: place('name'), message, hint: 'give each its own' })
  }
  const clash = (key: 'firmware' | 'nic' | 'bus', why: string, hint: string) =>
    findings.push({
      code: 'not-one-of',
      path: place(key),
      message: `${machine[key] ?? 'e1000e'} ${why}`,
      hint,
    })
  if (machine.chipset === 'i440fx' && machine.firmware === 'secureboot')
    clash('firmware', 'does not go with i440fx: that has no SMM to guard the keys with', 'choose chipset q35')
  if (machine.chipset === 'i440fx' && (machine.nic ?? 'e1000e') === 'e1000e')
    clash('nic', 'does not go with i440fx: that card is of PCI Express', 'choose another nic, or chipset q35')
  if (machine.bus === 'uas' && machine.firmware !== 'bios')
    clash('bus', 'does not start by UEFI: OVMF has no driver for it', 'choose firmware bios')
  return findings
}

function machineOf(entry: MachineEntry): Machine {
  const { name, firmware, cpus, chipset = 'q35', bus = 'xhci', nic = 'e1000e', screen = true } = entry
  const { description = '', processor = 'virtualization', otherSystem = false } = entry
  const memory = parseBytes(entry.memory) as Bytes
  const board = { chipset, bus, nic, screen, old: processor === 'old' }
  return { name, description, firmware, memory, cpus, processor, otherSystem, board }
}

/** Those that are named, in the file's order; all without names. Throws KeyvisorError `unknown-machine`, exit code 2. */
export function chooseMachines(machines: readonly Machine[], names: readonly string[]): Machine[] {
  const known = machines.map(({ name }) => name)
  const unknown = names.filter((name) => !known.includes(name))
  if (unknown.length > 0) {
    const meant = closest(unknown[0] as string, known)
    const message = `there is no machine ${unknown.join(', ')} among ${known.join(', ')}`
    const hint = meant ? `did you mean ${meant}?` : 'name some of these'
    throw new KeyvisorError('unknown-machine', message, { exitCode: EXIT.usage, hint })
  }
  return machines.filter(({ name }) => names.length === 0 || names.includes(name))
}

/** A PC in a few words: `bios, q35, xhci, e1000e, 3GiB, 1 CPU, virtualization`. */
export function machineWords(machine: Machine): string {
  const { firmware, memory, cpus, processor, otherSystem, board } = machine
  const words = [
    firmware,
    board.chipset,
    `stick on ${board.bus}`,
    board.nic === 'none' ? 'no network' : board.nic,
  ]
  words.push(formatBytes(memory), formatCpus(cpus), PROCESSOR[processor])
  return [...words, ...(otherSystem ? ['another system'] : []), ...(board.screen ? [] : ['no screen'])].join(
    ', ',
  )
}

const PROCESSOR = { virtualization: 'virtualization', plain: 'no virtualization', old: 'old processor' }
