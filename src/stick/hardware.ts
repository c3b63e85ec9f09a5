/**
 * What a guest's system sees of its identity, read from the arguments of the QEMU that runs: not from what was wanted.
 */
import type { Hardware } from '../plan/report.js'
import type { Machine } from './machine.js'

/** Null when the guest does not run. */
export function readHardware(machine: Machine, guest: string): Hardware | null {
  const pid = machine.readFile(`/run/libvirt/qemu/${guest}.pid`)?.trim()
  const line = pid && machine.readFile(`/proc/${pid}/cmdline`)
  if (!line) return null
  const words = line.split('\0')
  const valuesOf = (option: string) => words.filter((_, index) => words[index - 1] === option)
  const devices = valuesOf('-device').map(deviceOf)
  const system = valuesOf('-smbios').find((value) => value.startsWith('type=1,')) ?? ''
  return {
    uuid: valuesOf('-uuid')[0] ?? '',
    serial: /,serial=([^,]*)/.exec(system)?.[1] ?? '',
    macs: devices.flatMap(({ mac }) => mac ?? []),
    diskSerials: devices.flatMap(({ drive, serial }) => (drive && serial) ?? []),
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
