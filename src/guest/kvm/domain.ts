/**
 * Domains: a guest's libvirt domain, and its adaptation to the PC of the day.
 *
 * Free of `node:` imports: the stick runs this file under qjs, the builder shows what it writes.
 * Left out: the devices (`devices.ts`), Windows' Hyper-V set.
 *
 * Spec: libvirt's domain XML format (libvirt.org/formatdomain.html).
 *
 * Whatever a guest's system may remember of its hardware is fixed: UUID, MACs, serials, machine type, and the places
 * of its devices.
 */
import type { Architecture } from '../../arch/architecture.js'
import { KiB, MiB } from '../../base/units.js'
import { text } from '../../base/xml.js'
import type { Accelerator, LibraryGuest } from '../definition.js'
import { metadataXml } from '../metadata.js'
import type { DomainPaths } from '../paths.js'
import type { Sized } from '../sizing.js'
import { devices } from './devices.js'

/** The libvirt domain of a guest on a PC of an architecture. `sized` is the guest's own. */
export function domainXml(
  guest: LibraryGuest,
  sized: Sized,
  paths: DomainPaths,
  architecture: Architecture,
): string {
  return `<domain type='${domainType(sized.accelerator)}'>
  <name>${text(guest.name)}</name>
  <uuid>${text(guest.uuid)}</uuid>
${metadataXml(guest)}
${memory(sized)}${sharedMemory(guest)}
  ${vcpu(guest.cpus.max, sized.cpus)}
${system(guest)}
${firmware(guest, paths, architecture)}
${features(guest)}
  ${cpu(sized.accelerator, topology(guest.cpus.max))}
  <clock offset='${guest.hardware.clock}'>
    <timer name='rtc' tickpolicy='catchup'/>
    <timer name='pit' tickpolicy='delay'/>
    <timer name='hpet' present='no'/>
  </clock>
  <on_poweroff>destroy</on_poweroff>
  <on_reboot>restart</on_reboot>
  <on_crash>destroy</on_crash>
  <pm>
    <suspend-to-mem enabled='no'/>
    <suspend-to-disk enabled='no'/>
  </pm>
  <devices>
${devices(guest, paths, architecture).join('\n')}
  </devices>
</domain>
`
}

function domainType(accelerator: Accelerator): string {
  return accelerator === 'kvm' ? 'kvm' : 'qemu'
}

function memory(sized: Sized): string {
  const size = Math.floor(sized.memory / KiB)
  return `  <memory unit='KiB'>${size}</memory>\n  <currentMemory unit='KiB'>${size}</currentMemory>`
}

/** What virtiofsd needs, which reads and writes the guest's memory itself; guests without shared folders do without. */
function sharedMemory(guest: LibraryGuest): string {
  if (guest.shares.length === 0) return ''
  return `
  <memoryBacking>
    <source type='memfd'/>
    <access mode='shared'/>
  </memoryBacking>`
}

/** The guest always has the sockets and cores of its most CPUs; what differs is how many are plugged in. */
function vcpu(most: number, now: number, attributes = " placement='static'"): string {
  const current = now < most ? ` current='${now}'` : ''
  return `<vcpu${attributes}${current}>${most}</vcpu>`
}

/** One socket: systems that are licensed by the socket refuse more. */
function topology(cpus: number): string {
  return `<topology sockets='1' dies='1' cores='${cpus}' threads='1'/>`
}

/**
 * host-model is worked out anew at each start, so it fits every PC; host-passthrough would not move. Under
 * emulation every model costs the same, so the guest gets all that QEMU can emulate.
 */
function cpu(accelerator: Accelerator, inside: string): string {
  const mode = accelerator === 'kvm' ? "mode='host-model' check='partial'" : "mode='maximum' check='none'"
  return inside ? `<cpu ${mode}>\n    ${inside}\n  </cpu>` : `<cpu ${mode}/>`
}

/** SMBIOS type 1. Never the host's own (`smbios mode='host'`): that changes from PC to PC. */
function system(guest: LibraryGuest): string {
  return `  <sysinfo type='smbios'>
    <system>
      <entry name='manufacturer'>Keyvisor</entry>
      <entry name='product'>Guest</entry>
      <entry name='version'>1</entry>
      <entry name='serial'>${text(guest.serial)}</entry>
      <entry name='uuid'>${text(guest.uuid)}</entry>
    </system>
  </sysinfo>`
}

/** Which of an architecture's UEFIs a guest has. */
const UEFI = {
  uefi: { secure: 'no', files: 'uefi' },
  'uefi-secure': { secure: 'yes', files: 'secureboot' },
} as const

/** UEFI files are named one by one: libvirt's own choice may differ from version to version. */
function firmware(guest: LibraryGuest, paths: DomainPaths, { libvirt, uefi }: Architecture): string {
  const lines = [`<type arch='${libvirt}' machine='${text(guest.hardware.machine)}'>hvm</type>`]
  if (guest.hardware.firmware !== 'bios') {
    const { secure, files } = UEFI[guest.hardware.firmware]
    const { code, variables } = uefi[files]
    lines.push(
      `<loader readonly='yes' secure='${secure}' type='pflash'>${code}</loader>`,
      `<nvram template='${variables}'>${text(paths.nvram)}</nvram>`,
    )
  }
  lines.push(`<smbios mode='sysinfo'/>`)
  return `  <os>\n${lines.map((line) => `    ${line}`).join('\n')}\n  </os>`
}

/**
 * SMM guards the UEFI variables: without it Secure Boot could be switched off from inside (OVMF README). Not switched
 * off elsewhere: the one start without it hung in SeaBIOS, in an interrupt without end (QEMU 10.0, nested SVM).
 */
function features(guest: LibraryGuest): string {
  const smm = guest.hardware.firmware === 'uefi-secure' ? "\n    <smm state='on'/>" : ''
  return `  <features>\n    <acpi/>\n    <apic/>\n    <vmport state='off'/>${smm}\n  </features>`
}

/**
 * Fits an existing domain to the PC of the day. Only memory, the number of CPUs, accelerator and, when the
 * accelerator changes, CPU model are touched: everything else is the user's. The topology stays as it is.
 *
 * @param xml what `virsh dumpxml --inactive` prints: libvirt indents by two and puts each element on its own line
 * @throws Error when that is not the form of `xml`
 */
export function adaptDomain(xml: string, sized: Sized): string {
  const type = domainType(sized.accelerator)
  const [memoryLine, currentLine] = memory(sized).split('\n') as [string, string]
  const adapted = [
    replacement('memory', () => memoryLine),
    replacement('currentMemory', () => currentLine),
    replacement('vcpu', (old) => `  ${adaptVcpu(old, sized.cpus)}`),
  ].reduce((before, replace) => replace(before), xml)
  if (new RegExp(`^<domain type='${type}'`).test(adapted)) return adapted
  return replacement(
    'cpu',
    (old) => `  ${cpu(sized.accelerator, /<topology [^>]*>/.exec(old)?.[0] ?? '')}`,
  )(adapted.replace(/^<domain type='[^']*'/, `<domain type='${type}'`))
}

/** Whether two printed domains differ at most in what {@link adaptDomain} changes. Throws as that does. */
export function sameDomain(xml: string, other: string): boolean {
  const accelerator = xml.startsWith(`<domain type='kvm'`) ? 'kvm' : 'tcg'
  const alike: Sized = { name: '', start: true, reason: '', memory: MiB, cpus: 1, accelerator }
  return adaptDomain(xml, alike) === adaptDomain(other, alike)
}

/** Replaces the one child of the domain that has this name. Deeper elements are indented by more than two. */
function replacement(name: string, replace: (old: string) => string): (xml: string) => string {
  const element = new RegExp(`^ {2}<${name}(?: [^>]*)?(?:/>|>(?:.*|[\\s\\S]*?^ {2})</${name}>)$`, 'm')
  return (xml) => {
    if (!element.test(xml)) throw new Error(`the domain has no element ${name} that can be adapted`)
    return xml.replace(element, replace)
  }
}

/** `current` comes and goes; other attributes and the most CPUs are the user's. */
function adaptVcpu(old: string, cpus: number): string {
  const [, attributes = '', most = '1'] = /<vcpu([^>]*)>(\d+)</.exec(old) ?? []
  return vcpu(Number(most), cpus, attributes.replace(/ current='\d+'/, ''))
}
