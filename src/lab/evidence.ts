/**
 * Evidence: what is known of one boot, or of a walk of many, when they are over. Pure.
 *
 * Left out: the files that are made of it (`evidence-files.ts`).
 */
import { formatBytes } from '../base/units.js'
import type { Proof } from './prove.js'
import type { WalkRun } from './walk.js'

/** One PC on which the stick was tried. */
export interface Run {
  /** Short, and no other run's. */
  name: string
  /** What PC it is, in words: `firmware`, `memory` and so on, in the order of reading. */
  pc: Fact[]
  proof: Proof
}

export interface Fact {
  label: string
  value: string
}

export interface Evidence {
  /** Path of the image, as the user wrote it. */
  image: string
  /** When the test was run, as ISO 8601. */
  date: string
  runs: Run[]
}

const FIRMWARE = { bios: 'BIOS (SeaBIOS)', uefi: 'UEFI (OVMF)', secureboot: 'UEFI with Secure Boot (OVMF)' }

type Hardware = Pick<Proof, 'firmware' | 'memory' | 'cpus' | 'accelerator' | 'virtualization'>

/** A PC in words. */
export function pcFacts({ firmware, memory, cpus, accelerator, virtualization }: Hardware): Fact[] {
  return [
    { label: 'firmware', value: FIRMWARE[firmware] },
    { label: 'memory', value: formatBytes(memory) },
    { label: 'processors', value: cpus === 1 ? '1 CPU' : `${cpus} CPUs` },
    { label: 'virtualization', value: `${virtualization ? 'with' : 'without'} VT-x or SVM` },
    { label: 'run by', value: accelerator === 'kvm' ? 'KVM' : 'software emulation' },
  ]
}

/** One PC of a walk: what it stands for, and of what is soldered to it that which {@link pcFacts} does not know. */
export function runOnMachine({ machine, proof }: WalkRun): Run {
  const { name, description, board, otherSystem } = machine
  const facts = [
    { label: 'stands for', value: description },
    { label: 'chipset', value: board.chipset },
    { label: 'stick', value: `on ${board.bus}` },
    { label: 'network card', value: board.nic === 'none' ? 'no network card' : board.nic },
    { label: 'disk', value: otherSystem ? 'another system on a disk' : 'no disk of its own' },
  ]
  return { name, pc: [...facts, ...pcFacts(proof)], proof }
}

/** PNGs in base64, by the file names of a proof's screens. */
export type Pictures = ReadonlyMap<string, string>
