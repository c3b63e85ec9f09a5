/**
 * What a guest's system sees of its hardware, read from the arguments of the QEMU that runs: not from what was wanted. A
 * domain that somebody edited, and a libvirt that does not do as it is told, show here.
 */
import type { Architecture } from '../../arch/architecture.js'
import { KiB } from '../../base/units.js'
import type { Hardware } from '../report.js'

/** The program of a guest's process. */
export function programOf({ program }: Architecture['qemu']): string {
  return `/usr/bin/${program}`
}

/** @param commandLine of a guest's process (proc_pid_cmdline(5)) */
export function hardwareOf(commandLine: string): Hardware {
  const words = commandLine.split('\0')
  const valuesOf = (option: string) => words.filter((_, index) => words[index - 1] === option)
  const devices = valuesOf('-device').map(deviceOf)
  const system = valuesOf('-smbios').find((value) => value.startsWith('type=1,')) ?? ''
  return {
    uuid: valuesOf('-uuid')[0] ?? '',
    serial: /,serial=([^,]*)/.exec(system)?.[1] ?? '',
    macs: devices.flatMap(({ mac }) => mac ?? []),
    diskSerials: devices.flatMap(({ drive, serial }) => (drive && serial) ?? []),
    ...sizeOf(valuesOf),
  }
}

/** As libvirt writes it: `-m size=524288k`, `-smp 1,maxcpus=2,…`, `-accel kvm`. What is not there, QEMU was not told. */
function sizeOf(valuesOf: (option: string) => string[]): Pick<Hardware, 'memory' | 'cpus' | 'accelerator'> {
  return {
    memory: Number(/^size=(\d+)k/.exec(valuesOf('-m')[0] ?? '')?.[1] ?? 0) * KiB,
    cpus: Number.parseInt(valuesOf('-smp')[0] ?? '1', 10),
    // QEMU emulates where it is told nothing.
    accelerator: /^kvm\b/.test(valuesOf('-accel')[0] ?? '') ? 'kvm' : 'tcg',
  }
}

interface Device {
  drive?: string
  mac?: string
  serial?: string
}

/** libvirt names devices in JSON; what is written in QEMU's older way is none that is looked for here. */
function deviceOf(value: string): Device {
  try {
    return JSON.parse(value) as Device
  } catch {
    return {}
  }
}
