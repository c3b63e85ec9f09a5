/**
 * Facts: what the PC of the day is, read from /proc and /sys.
 */
import { ARCHITECTURES, type Architecture, USUAL_ARCHITECTURE } from '../arch/architecture.js'
import { type Bytes, KiB } from '../base/units.js'
import type { Hypervisor } from '../guest/hypervisor.js'
import { hypervisorOn } from '../guest/hypervisors.js'
import { type HostEvent, REPORT_VERSION } from '../guest/report.js'
import type { Pc } from '../guest/sizing.js'
import type { Machine } from './machine.js'

/** Four bytes of attributes, then the value (UEFI 2.10, section 3.3; Linux, efivarfs.rst). */
const SECURE_BOOT = '/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c'

/** What sizing needs. Memory is what is built in: the same number as a person would give to `plan --on`. */
export function readPc(machine: Machine): Pc {
  const cpus = machine.readFile('/proc/cpuinfo')?.match(/^processor\s*:/gm)?.length ?? 1
  return { memory: builtIn(machine) ?? usable(machine), cpus, kvm: machine.exists('/dev/kvm') }
}

/** Online blocks of memory times their size (Linux, memory-hotplug.rst); undefined on a kernel that has none. */
function builtIn(machine: Machine): Bytes | undefined {
  const folder = '/sys/devices/system/memory'
  const block = Number.parseInt(machine.readFile(`${folder}/block_size_bytes`) ?? '', 16)
  const { stdout } = machine.run(['sh', '-c', `cat ${folder}/memory*/state`])
  const online = stdout.match(/^online$/gm)?.length ?? 0
  return block * online || undefined
}

/** What the kernel has to give away: less, by what firmware and kernel keep for themselves. */
function usable(machine: Machine): Bytes {
  return Number(/^MemTotal:\s+(\d+) kB/m.exec(machine.readFile('/proc/meminfo') ?? '')?.[1] ?? '0') * KiB
}

export function readHost(machine: Machine, name: string, pc: Pc): HostEvent {
  const uefi = machine.exists('/sys/firmware/efi')
  const argument = (name: string) => argumentOf(machine, name)
  const slot = argument('keyvisor.slot') === 'b' ? 'b' : 'a'
  const rootHash = /^[0-9a-f]{64}/.exec(argument('keyvisor.root'))?.[0] ?? null
  return {
    event: 'host',
    version: REPORT_VERSION,
    name,
    firmware: uefi ? 'uefi' : 'bios',
    secureBoot: uefi ? secureBoot(machine.readFile(SECURE_BOOT)) : 'unsupported',
    accelerator: pc.kvm ? 'kvm' : 'tcg',
    memory: pc.memory,
    cpus: pc.cpus,
    architecture: architectureOf(machine).debian,
    slot,
    slots: { a: null, b: null, [slot]: rootHash },
    seconds: uptime(machine),
  }
}

/** A kernel argument; empty where there is none. */
function argumentOf(machine: Machine, name: string): string {
  const words = (machine.readFile('/proc/cmdline') ?? '').trim().split(/\s+/)
  return words.find((word) => word.startsWith(`${name}=`))?.slice(name.length + 1) ?? ''
}

/** The architecture that the host was built for, as the builder left it. */
export function architectureOf(machine: Machine): Architecture {
  const name = /^ARCHITECTURE=(\S+)$/m.exec(machine.readFile('/usr/lib/keyvisor/facts') ?? '')?.[1]
  return (
    Object.values(ARCHITECTURES).find(({ debian }) => debian === name) ?? ARCHITECTURES[USUAL_ARCHITECTURE]
  )
}

/** What runs guests on it. */
export function hypervisorOf(machine: Machine): Hypervisor {
  return hypervisorOn(architectureOf(machine))
}

function secureBoot(variable: string | undefined): HostEvent['secureBoot'] {
  if (variable === undefined || variable.length < 5) return 'unsupported'
  return variable.charCodeAt(4) === 1 ? 'enabled' : 'disabled'
}

/** Seconds since the kernel started. */
export function uptime(machine: Machine): number {
  return Number.parseFloat(machine.readFile('/proc/uptime') ?? '0')
}

/** Names of the dm-verity devices that have met a damaged block (Linux, verity.rst, "Status"). */
export function damagedDevices(machine: Machine): string[] {
  const { stdout } = machine.run(['dmsetup', 'status', '--target', 'verity'])
  return [...stdout.matchAll(/^(\S+): .* verity C\b/gm)].map((match) => match[1] as string)
}
