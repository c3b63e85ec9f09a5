/**
 * Domains: a guest's libvirt domain, its adaptation to the PC of the day, and the network that guests are on.
 *
 * Free of `node:` imports: the stick runs this file under qjs, the builder shows what it writes.
 * Left out: firewall rules (`firewall.ts`), Windows' Hyper-V set, devices of the PC.
 *
 * Spec: libvirt's domain and network XML formats (libvirt.org/formatdomain.html, formatnetwork.html).
 *
 * Whatever a guest's system may remember of its hardware is fixed: UUID, MACs, serials, machine type, and the PCI
 * address of every device. Devices are plugged into bus 0 directly, so that one table serves q35 and i440fx.
 */
import { KiB } from '../base/units.js'
import type { Sized } from './sizing.js'
import type { Accelerator, GuestDefinition, GuestNetwork, LibraryGuest } from './types.js'

/** Namespace of the element that a domain's metadata carries. */
export const DOMAIN_NAMESPACE = 'urn:keyvisor:guest:1'

/** Where the files of a guest are on the stick. */
export interface DomainPaths {
  /** Folder of the overlay and the empty disks, on the data partition. */
  folder: string
  disk: string
  disks: string[]
  /** UEFI variables. libvirt makes the file from its template, and its AppArmor profile, when the guest starts. */
  nvram: string
  /** What the guest writes to its first serial port. virtlogd writes it, begins anew at each start, caps its size. */
  console: string
}

export function domainPaths(guest: GuestDefinition): DomainPaths {
  const folder = `/data/guests/${guest.name}`
  return {
    folder,
    disk: `${folder}/disk.qcow2`,
    disks: guest.disks.map((_, index) => `${folder}/disk-${index + 1}.qcow2`),
    nvram: `/var/lib/libvirt/qemu/nvram/${guest.name}_VARS.fd`,
    console: `/var/log/keyvisor/${guest.name}.console.log`,
  }
}

/**
 * PCI slots of bus 0. 0x00 is the host bridge, 0x01 the PIIX3 of i440fx, 0x1f the ICH9 of q35. NICs and disks have
 * a slot each from their first on: {@link MOST_NICS} and {@link MOST_DISKS} follow from that.
 */
const SLOT = { video: 2, ports: 3, usb: 4, serial: 5, rng: 6, balloon: 7, tablet: 8, nic: 9, disk: 0x11 }
const PIIX3 = 1
const ICH9 = 0x1f

export const MOST_NICS = SLOT.disk - SLOT.nic
/** The disk with the base among them. */
export const MOST_DISKS = ICH9 - SLOT.disk

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
    <keyvisor:guest xmlns:keyvisor='${DOMAIN_NAMESPACE}' definition='${text(guest.definition)}' base='${text(guest.base.sha256)}'/>
  </metadata>
${memory(sized)}
  ${vcpu(guest.cpus.max, sized.cpus)}
${system(guest)}
${firmware(guest, paths)}
${features(guest)}
  ${cpu(sized.accelerator, topology(guest.cpus.max))}
  <clock offset='utc'>
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
function system(guest: GuestDefinition): string {
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

function firmware(guest: GuestDefinition, paths: DomainPaths): string {
  const lines = [`<type arch='x86_64' machine='${text(guest.machine)}'>hvm</type>`]
  if (guest.firmware !== 'bios') {
    const { secure, code, variables } = OVMF[guest.firmware]
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
function features(guest: GuestDefinition): string {
  const smm = guest.firmware === 'uefi-secure' ? "\n    <smm state='on'/>" : ''
  return `  <features>\n    <acpi/>\n    <apic/>\n    <vmport state='off'/>${smm}\n  </features>`
}

function devices(guest: GuestDefinition, paths: DomainPaths): string[] {
  return [
    `    <emulator>/usr/bin/qemu-system-x86_64</emulator>`,
    disk(paths.disk, guest.disk.serial, 0, guest),
    ...guest.disks.map(({ serial }, index) => disk(paths.disks[index] ?? '', serial, index + 1, guest)),
    ...controllers(guest),
    ...guest.nics.map(nic),
    consoleDevices(paths),
    personDevices(),
    ...(guest.firmware === 'uefi-secure' ? [TPM] : []),
    `    <memballoon model='virtio' freePageReporting='on'>
      ${pci(SLOT.balloon)}
    </memballoon>
    <rng model='virtio'>
      <backend model='random'>/dev/urandom</backend>
      ${pci(SLOT.rng)}
    </rng>`,
  ]
}

/**
 * cache=none: what a guest has flushed is on the stick, and its pages are not kept twice. io=threads, since a
 * stick is slow enough for native AIO to block. A transient disk forgets at each start what was written to it.
 */
function disk(path: string, serial: string, index: number, guest: GuestDefinition): string {
  const extra = [
    ...(index === 0 ? [`<boot order='1'/>`] : []),
    ...(guest.changes === 'discard' ? ['<transient/>'] : []),
    `<serial>${text(serial)}</serial>`,
    pci(SLOT.disk + index),
  ]
  return `    <disk type='file' device='disk'>
      <driver name='qemu' type='qcow2' cache='none' io='threads' discard='unmap'/>
      <source file='${text(path)}'/>
      <target dev='vd${String.fromCharCode(97 + index)}' bus='virtio'/>
      ${extra.join('\n      ')}
    </disk>`
}

/** The two empty ports of q35 take what a user plugs in while the guest runs. */
function controllers(guest: GuestDefinition): string[] {
  const common = [
    controller('usb', 0, 'qemu-xhci', pci(SLOT.usb)),
    controller('virtio-serial', 0, '', pci(SLOT.serial)),
  ]
  if (!isQ35(guest)) {
    return [...common, controller('pci', 0, 'pci-root', ''), controller('ide', 0, '', pci(PIIX3, 1))]
  }
  return [
    ...common,
    controller('pci', 0, 'pcie-root', ''),
    controller(
      'pci',
      1,
      'pcie-root-port',
      `<target chassis='1' port='0x18'/>\n      ${pci(SLOT.ports, 0, true)}`,
    ),
    controller('pci', 2, 'pcie-root-port', `<target chassis='2' port='0x19'/>\n      ${pci(SLOT.ports, 1)}`),
    controller('sata', 0, '', pci(ICH9, 2)),
  ]
}

function isQ35(guest: GuestDefinition): boolean {
  return guest.machine.includes('q35')
}

function controller(type: string, index: number, model: string, inside: string): string {
  const open = `    <controller type='${type}' index='${index}'${model && ` model='${model}'`}`
  return inside ? `${open}>\n      ${inside}\n    </controller>` : `${open}/>`
}

/** No option ROM: nobody on this network serves a network start, and looking for one costs seconds. */
function nic(card: GuestDefinition['nics'][number], index: number): string {
  return `    <interface type='network'>
      <mac address='${text(card.mac)}'/>
      <source network='${text(card.network)}'/>
      <model type='virtio'/>
      <rom enabled='no'/>
      ${pci(SLOT.nic + index)}
    </interface>`
}

/** The first serial port with its log, and the guest agent's channel. */
function consoleDevices(paths: DomainPaths): string {
  return `    <serial type='pty'>
      <log file='${text(paths.console)}' append='off'/>
      <target type='isa-serial' port='0'>
        <model name='isa-serial'/>
      </target>
    </serial>
    <channel type='unix'>
      <target type='virtio' name='org.qemu.guest_agent.0'/>
      <address type='virtio-serial' controller='0' bus='0' port='1'/>
    </channel>`
}

/** A screen that only the host itself can reach. The virtio tablet costs nothing while nobody moves it. */
function personDevices(): string {
  return `    <input type='tablet' bus='virtio'>
      ${pci(SLOT.tablet)}
    </input>
    <graphics type='vnc' autoport='yes' listen='127.0.0.1'/>
    <video>
      <model type='vga' vram='16384' heads='1' primary='yes'/>
      ${pci(SLOT.video)}
    </video>`
}

const TPM = `    <tpm model='tpm-crb'>
      <backend type='emulator' version='2.0'/>
    </tpm>`

function pci(slot: number, fn = 0, multifunction = false): string {
  const place = `domain='0x0000' bus='0x00' slot='0x${hex(slot)}' function='0x${fn}'`
  return `<address type='pci' ${place}${multifunction ? ` multifunction='on'` : ''}/>`
}

function hex(value: number): string {
  return value.toString(16).padStart(2, '0')
}

/** Text and attribute values of XML 1.0 (section 2.4). */
function text(value: string): string {
  return value.replace(/[&<>'"]/g, (character) => `&#${character.charCodeAt(0)};`)
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
export function networkXml(network: GuestNetwork, guests: readonly GuestDefinition[]): string {
  const hosts = guests.flatMap((guest) =>
    guest.nics
      .filter((card) => card.network === network.name)
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

function dhcpHost(card: GuestDefinition['nics'][number], name: string): string {
  return `<host mac='${text(card.mac)}' name='${text(name)}' ip='${text(card.address)}'/>`
}
