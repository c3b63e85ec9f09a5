/**
 * A guest's process: what holds it, and what hardware it gives. Read from the process, not from what was wanted.
 */
import type { Confinement, Hardware } from '../guest/report.js'
import { hypervisorOf } from './facts.js'
import type { Machine } from './machine.js'

/** Null when the guest does not run. */
export function readHardware(machine: Machine, guest: string): Hardware | null {
  const pid = pidOf(machine, guest)
  const line = pid && machine.readFile(`/proc/${pid}/cmdline`)
  return line ? hypervisorOf(machine).hardwareOf(line) : null
}

function pidOf(machine: Machine, guest: string): string | undefined {
  return machine.readFile(`/run/libvirt/qemu/${guest}.pid`)?.trim()
}

/** Null when the guest does not run. */
export function readConfinement(machine: Machine, guest: string): Confinement | null {
  const pid = pidOf(machine, guest)
  const status = pid && machine.readFile(`/proc/${pid}/status`)
  if (!status) return null
  return {
    user: userName(machine, /^Uid:\s+(\d+)/m.exec(status)?.[1] ?? ''),
    // With a line break or a NUL at its end, by the kernel's version.
    apparmor: (machine.readFile(`/proc/${pid}/attr/current`) ?? '').replace(/[\0\n]/g, ''),
    seccomp: /^Seccomp:\s+2$/m.test(status),
  }
}

function userName(machine: Machine, uid: string): string {
  const accounts = machine.readFile('/etc/passwd')?.split('\n') ?? []
  return accounts.map((line) => line.split(':')).find((fields) => fields[2] === uid)?.[0] ?? uid
}
