/**
 * Evidence: what is known of one boot, or of a walk of many, when they are over. Pure.
 *
 * Left out: the files that are made of it (`evidence-files.ts`).
 */
import { formatBytes } from '../base/units.js'
import type { Proof } from './prove.js'

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

/** PNGs in base64, by the file names of a proof's screens. */
export type Pictures = ReadonlyMap<string, string>
