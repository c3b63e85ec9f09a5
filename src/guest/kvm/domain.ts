/**
 * Domains: a guest's libvirt domain, its adaptation to the PC of the day, and the network that guests are on.
 *
 * Free of `node:` imports: the stick runs this file under qjs, the builder shows what it writes.
 * Left out: the devices (`domain-devices.ts`), firewall rules (`firewall.ts`), Windows' Hyper-V set.
 *
 * Spec: libvirt's domain and network XML formats (libvirt.org/formatdomain.html, formatnetwork.html).
 *
 * Whatever a guest's system may remember of its hardware is fixed: UUID, MACs, serials, machine type, and the places
 * of its devices.
 */
import { KiB, MiB } from '../base/units.js'
import { text } from '../base/xml.js'
import type { Accelerator, Drive, Guest, GuestNetwork, LibraryFile, LibraryGuest } from './definition.js'
import { type DomainPaths, devices } from './domain-devices.js'
import { type NumberedDrive, numberDrives } from './drives.js'
import type { Sized } from './sizing.js'

/** Namespace of the element that a domain's metadata carries. */
const DOMAIN_NAMESPACE = 'urn:keyvisor:guest:1'

/** Seconds that guests have, all together, to shut down with their host. A Windows that installs updates takes minutes. */
export const STOP_WITHIN = 180

/** Where the library is mounted on the stick. */
export const LIBRARY = '/run/keyvisor/library'

export function domainPaths(guest: LibraryGuest): DomainPaths {
  const folder = `/data/guests/${guest.name}`
  return {
    folder,
    drives: numberDrives(guest.drives, ({ kind }) => kind === 'cdrom').map((item) => drivePath(item, folder)),
    nvram: `/var/lib/libvirt/qemu/nvram/${guest.name}_VARS.fd`,
    console: `/var/log/keyvisor/${guest.name}.console.log`,
    shares: guest.shares.map((share) => `/data/shares/${share.name}`),
  }
}

function drivePath({ drive, index }: NumberedDrive<Drive<LibraryFile>>, folder: string): string {
  if (drive.kind === 'cdrom') return `${LIBRARY}/${drive.base.file}`
  return index === 0 ? `${folder}/disk.qcow2` : `${folder}/disk-${index}.qcow2`
}

/** The libvirt domain of a guest on a PC. `sized` is the guest's own. */
export function domainXml(
  guest: LibraryGuest,
  sized: Sized,
  paths: DomainPaths = domainPaths(guest),
): string {
  return `<domain type='${domainType(sized.accelerator)}'>
  <name>${text(guest.name)}</name>
  <uuid>${text(guest.uuid)}</uuid>
  <metadata>
    <keyvisor:guest xmlns:keyvisor='${DOMAIN_NAMESPACE}' definition='${text(guest.definition)}'/>
  </metadata>
${memory(sized)}${sharedMemory(guest)}
  ${vcpu(guest.cpus.max, sized.cpus)}
${system(guest)}
${firmware(guest, paths)}
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
${devices(guest, paths).join('\n')}
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

/** Debian's OVMF files, named one by one: libvirt's own choice may differ from version to version. */
const OVMF = {
  uefi: { secure: 'no', code: 'OVMF_CODE_4M.fd', variables: 'OVMF_VARS_4M.fd' },
  'uefi-secure': { secure: 'yes', code: 'OVMF_CODE_4M.secboot.fd', variables: 'OVMF_VARS_4M.ms.fd' },
}

function firmware(guest: LibraryGuest, paths: DomainPaths): string {
  const lines = [`<type arch='x86_64' machine='${text(guest.hardware.machine)}'>hvm</type>`]
  if (guest.hardware.firmware !== 'bios') {
    const { secure, code, variables } = OVMF[guest.hardware.firmware]
    lines.push(
      `<loader readonly='yes' secure='${secure}' type='pflash'>/usr/share/OVMF/${code}</loader>`,
      `<nvram template='/usr/share/OVMF/${variables}'>${text(paths.nvram)}</nvram>`,
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

/** Digest of the definition that a printed domain was made from; undefined when it was not made by us. */
export function definitionOf(xml: string): string | undefined {
  const element = new RegExp(`<keyvisor:guest (?=[^>]*['"]${DOMAIN_NAMESPACE}['"])[^>]*`).exec(xml)?.[0]
  return / definition=['"]([^'"]*)['"]/.exec(element ?? '')?.[1]
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

/**
 * The libvirt network that guests are on. libvirt gives it a bridge and dnsmasq, with a fixed address for each
 * guest; mode `open` leaves the firewall alone, since `firewall.ts` writes the rules.
 */
export function networkXml(network: GuestNetwork, guests: readonly Guest<unknown>[]): string {
  const hosts = guests.flatMap((guest) =>
    guest.nics
      .filter((card) => card.address !== null)
      .map((card, index) => dhcpHost(card, index === 0 ? guest.name : `${guest.name}-${index + 1}`)),
  )
  return `<network>
  <name>${text(network.name)}</name>
  <forward mode='open'/>
  <bridge name='${text(network.bridge)}' stp='off' delay='0'/>
  <domain name='${text(network.name)}.internal' localOnly='yes'/>
  <ip address='${network.gateway}' prefix='${network.prefix}'>
    <dhcp>
      <range start='${network.dhcp.first}' end='${network.dhcp.last}'/>
${hosts.map((host) => `      ${host}\n`).join('')}    </dhcp>
  </ip>
</network>
`
}

function dhcpHost(card: { mac: string; address: string }, name: string): string {
  return `<host mac='${text(card.mac)}' name='${text(name)}' ip='${text(card.address)}'/>`
}
