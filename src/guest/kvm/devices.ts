/**
 * The devices of a guest's domain, and where on the machine each one sits.
 *
 * Free of `node:` imports: the stick runs this file under qjs.
 * Left out: all of a domain that is no device (`domain.ts`).
 *
 * Spec: libvirt's domain XML format (libvirt.org/formatdomain.html), section "Devices".
 *
 * The PCI address of every device is fixed, since a guest's system may remember it. Devices are plugged into bus 0
 * directly, so that one table serves q35 and i440fx.
 */

import type { Architecture } from '../../arch/architecture.js'
import { text } from '../../base/xml.js'
import type { Drive, GuestNic, LibraryFile, LibraryGuest, UsbDevice } from '../definition.js'
import { type NumberedDrive, numberDrives } from '../drives.js'
import type { DomainPaths } from '../paths.js'
import { hasPcie } from './machine.js'
import { programOf } from './process.js'

/**
 * PCI slots of bus 0. 0x00 is the host bridge, 0x01 the PIIX3 of i440fx, 0x1f the ICH9 of q35. NICs and disks have
 * a slot each from their first on: {@link MOST} follows from that. Shared folders are the
 * functions of one slot.
 */
const SLOT = {
  video: 2,
  ports: 3,
  usb: 4,
  serial: 5,
  rng: 6,
  balloon: 7,
  tablet: 8,
  nic: 9,
  disk: 0x11,
  shares: 0x1e,
}
const PIIX3 = 1
const ICH9 = 0x1f

/** How many of each a guest can have. */
export const MOST = {
  nics: SLOT.disk - SLOT.nic,
  disks: SLOT.shares - SLOT.disk,
  // What the IDE controller of i440fx takes.
  cdroms: 4,
  // A PCI device has no more functions.
  shares: 8,
}

/**
 * How many disks and CDs together a guest can have whose system lacks virtio: what the controller takes that the machine has
 * anyway, the ICH9's SATA of q35 or the PIIX3's IDE of i440fx.
 */
export function mostCompatibleDrives(machine: string): number {
  return hasPcie(machine) ? 6 : 4
}

/** A port each, of those that an xHCI controller of libvirt's can have; the others stay free for what a user plugs in. */
const USB_PORTS = 15

/** The devices as elements of XML, indented by four. */
export function devices(guest: LibraryGuest, paths: DomainPaths, { qemu }: Architecture): string[] {
  return [
    `    <emulator>${programOf(qemu)}</emulator>`,
    ...numberDrives(guest.drives, ({ kind }) => kind === 'cdrom').map((item, place) =>
      drive(item, paths.drives[place] as string, guest),
    ),
    ...controllers(guest),
    ...guest.nics.map((card, index) => nic(card, index, nicModel(guest))),
    ...paths.shares.map((folder, index) => share(folder, index, guest)),
    consoleDevices(paths),
    personDevices(guest),
    ...guest.usb.map(usbDevice),
    ...(guest.hardware.tpm ? [TPM] : []),
    `    <memballoon model='virtio' freePageReporting='on'>
      ${pci(SLOT.balloon)}
    </memballoon>
    <rng model='virtio'>
      <backend model='random'>/dev/urandom</backend>
      ${pci(SLOT.rng)}
    </rng>`,
  ]
}

function drive(
  { drive, index }: NumberedDrive<Drive<LibraryFile>>,
  path: string,
  guest: LibraryGuest,
): string {
  return drive.kind === 'cdrom' ? cdrom(path, index, guest) : disk(path, drive.serial, index, guest)
}

/** Behind the disks, where these are on the same controller. */
function cdrom(path: string, index: number, guest: LibraryGuest): string {
  const before = isCompatible(guest) ? guest.drives.filter(({ kind }) => kind !== 'cdrom').length : 0
  const { target, address } = onController(before + index, guest)
  return `    <disk type='file' device='cdrom'>
      <driver name='qemu' type='raw'/>
      <source file='${text(path)}'/>
      ${target}
      <readonly/>
      ${address}
    </disk>`
}

/**
 * A drive on the controller that the machine has anyway: every system has drivers for it. q35's knows six drives, the PIIX3 of
 * i440fx two on each of two buses.
 */
function onController(place: number, guest: LibraryGuest): { target: string; address: string } {
  const [bus, name, at] = hasPcie(guest.hardware.machine)
    ? ['sata', 'sd', `bus='0' target='0' unit='${place}'`]
    : ['ide', 'hd', `bus='${place >> 1}' target='0' unit='${place & 1}'`]
  return {
    target: `<target dev='${name}${letter(place)}' bus='${bus}'/>`,
    address: `<address type='drive' controller='0' ${at}/>`,
  }
}

function isCompatible({ hardware }: LibraryGuest): boolean {
  return hardware.devices === 'compatible'
}

function letter(index: number): string {
  return String.fromCharCode(97 + index)
}

/**
 * cache=none: what a guest has flushed is on the stick, and its pages are not kept twice. io=threads, since a
 * stick is slow enough for native AIO to block. A transient disk forgets at each start what was written to it.
 */
function disk(path: string, serial: string, index: number, guest: LibraryGuest): string {
  const { target, address } = isCompatible(guest)
    ? onController(index, guest)
    : { target: `<target dev='vd${letter(index)}' bus='virtio'/>`, address: pci(SLOT.disk + index) }
  const extra = [
    ...(index === 0 ? [`<boot order='1'/>`] : []),
    ...(guest.changes === 'discard' ? ['<transient/>'] : []),
    `<serial>${text(serial)}</serial>`,
    address,
  ]
  return `    <disk type='file' device='disk'>
      <driver name='qemu' type='qcow2' cache='none' io='threads' discard='unmap'/>
      <source file='${text(path)}'/>
      ${target}
      ${extra.join('\n      ')}
    </disk>`
}

/** The two empty ports of q35 take what a user plugs in while the guest runs. */
function controllers(guest: LibraryGuest): string[] {
  const common = [
    controller('usb', 0, 'qemu-xhci', pci(SLOT.usb), needsPorts(guest) ? ` ports='${USB_PORTS}'` : ''),
    controller('virtio-serial', 0, '', pci(SLOT.serial)),
  ]
  if (!hasPcie(guest.hardware.machine)) {
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

/** Else libvirt's own number will do. */
function needsPorts(guest: LibraryGuest): boolean {
  return guest.usb.length > 0 || isCompatible(guest)
}

function controller(type: string, index: number, model: string, inside: string, attributes = ''): string {
  const open = `    <controller type='${type}' index='${index}'${model && ` model='${model}'`}${attributes}`
  return inside ? `${open}>\n      ${inside}\n    </controller>` : `${open}/>`
}

/** Intel's cards are those that systems of the last fifteen years know. */
function nicModel(guest: LibraryGuest): string {
  if (!isCompatible(guest)) return 'virtio'
  return hasPcie(guest.hardware.machine) ? 'e1000e' : 'e1000'
}

/** No option ROM: nobody is expected to serve a network start, and looking for one costs seconds. */
function nic(card: GuestNic, index: number, model: string): string {
  const [type, name] = card.address === null ? ['bridge', card.bridge] : ['network', card.network]
  return `    <interface type='${type}'>
      <mac address='${text(card.mac)}'/>
      <source ${type}='${text(name)}'/>
      <model type='${model}'/>
      <rom enabled='no'/>
      ${pci(SLOT.nic + index)}
    </interface>`
}

/** libvirt starts a virtiofsd for each, which sees this folder alone. The guest's users are the folder's, by number. */
function share(folder: string, index: number, guest: LibraryGuest): string {
  return `    <filesystem type='mount' accessmode='passthrough'>
      <driver type='virtiofs'/>
      <source dir='${text(folder)}'/>
      <target dir='${text(guest.shares[index]?.name ?? '')}'/>
      ${pci(SLOT.shares, index, index === 0)}
    </filesystem>`
}

/** One that is not plugged in when the guest starts is left out of this start. */
function usbDevice({ vendor, product }: UsbDevice, index: number): string {
  return `    <hostdev mode='subsystem' type='usb' managed='yes'>
      <source startupPolicy='optional'>
        <vendor id='0x${text(vendor)}'/>
        <product id='0x${text(product)}'/>
      </source>
      <address type='usb' bus='0' port='${index + 1}'/>
    </hostdev>`
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
function personDevices(guest: LibraryGuest): string {
  // On the last port: those before are the user's devices'.
  const [bus, address] = isCompatible(guest)
    ? ['usb', `<address type='usb' bus='0' port='${USB_PORTS}'/>`]
    : ['virtio', pci(SLOT.tablet)]
  return `    <input type='tablet' bus='${bus}'>
      ${address}
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
