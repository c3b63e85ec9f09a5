import { readFileSync } from 'node:fs'
import t from 'tap'
import { ARCHITECTURES } from '../../../src/arch/architecture.js'
import { GiB } from '../../../src/base/units.js'
import type { Drive, LibraryFile, LibraryGuest } from '../../../src/guest/definition.js'
import { devices, MOST, mostCompatibleDrives } from '../../../src/guest/kvm/devices.js'
import { domainPaths } from '../../../src/guest/paths.js'
import type { Sized } from '../../../src/guest/sizing.js'
import { SCHEMA_FILE } from '../../../src/yaml/profile-schema.js'
import { bench, counter, DISK, guest, HARDWARE, HYPERVISOR, ISO_FILE } from '../../support/guests.js'

const kvm: Sized = { name: 'x', start: true, reason: '', memory: GiB, cpus: 2, accelerator: 'kvm' }
const devicesOf = (one: LibraryGuest) => devices(one, domainPaths(one), ARCHITECTURES.amd64).join('\n')

t.test('no two devices share a PCI address, in the fullest machine of each type', async (t) => {
  for (const machine of ['pc-q35-10.0', 'pc-i440fx-10.0']) {
    const xml = HYPERVISOR.domainXml(fullest(machine), kvm)
    const places = xml.match(/<address type='pci'[^>]*function='0x.'/g) ?? []
    // Video, USB, serial, RNG, balloon, tablet and SATA or IDE; two ports on q35.
    const others = machine.includes('q35') ? 9 : 7
    t.equal(places.length, MOST.nics + MOST.disks + MOST.shares + others, machine)
    t.equal(new Set(places).size, places.length, `${machine}: all different`)
    t.notMatch(places.join(), /slot='0x00'/, 'nothing on the host bridge')
  }
})

function fullest(machine: string): LibraryGuest {
  const disks = Array.from(
    { length: MOST.disks },
    (_, index): Drive<LibraryFile> => ({ kind: 'empty', size: GiB, serial: `D${index}` }),
  )
  const discs = Array.from(
    { length: MOST.cdroms },
    (): Drive<LibraryFile> => ({ kind: 'cdrom', base: ISO_FILE }),
  )
  const nics = Array.from({ length: MOST.nics }, (_, index) => ({
    network: 'keyvisor',
    mac: `52:54:00:00:00:0${index}`,
    address: `172.29.86.${index + 10}`,
  }))
  const shares = Array.from({ length: MOST.shares }, (_, index) => ({ name: `folder-${index}` }))
  return guest('full', { hardware: { ...HARDWARE, machine }, drives: [...disks, ...discs], nics, shares })
}

t.test("CDs are read-only, in drives of the machine's own controller, and move no disk", async (t) => {
  const cdrom: Drive<LibraryFile> = { kind: 'cdrom', base: ISO_FILE }
  const places = (machine: string) => {
    const one = guest('full', { hardware: { ...HARDWARE, machine }, drives: [DISK, cdrom, cdrom, cdrom] })
    const found = devicesOf(one).match(/<disk type='file' device='cdrom'>[\s\S]*?<\/disk>/g) ?? []
    for (const disc of found) {
      t.match(
        disc,
        /<driver name='qemu' type='raw'\/>\s+<source file='\/run\/keyvisor\/library\/(12){32}\.iso'\/>/,
      )
      t.match(disc, '<readonly/>')
    }
    return found.map((disc) => [
      /<target dev='(\w+)' bus='(\w+)'/.exec(disc)?.slice(1).join(),
      /<address type='drive' (.*)\/>/.exec(disc)?.[1],
    ])
  }
  t.strictSame(places('pc-q35-10.0'), [
    ['sda,sata', `controller='0' bus='0' target='0' unit='0'`],
    ['sdb,sata', `controller='0' bus='0' target='0' unit='1'`],
    ['sdc,sata', `controller='0' bus='0' target='0' unit='2'`],
  ])
  t.strictSame(places('pc-i440fx-10.0'), [
    ['hda,ide', `controller='0' bus='0' target='0' unit='0'`],
    ['hdb,ide', `controller='0' bus='0' target='0' unit='1'`],
    ['hdc,ide', `controller='0' bus='1' target='0' unit='0'`],
  ])
  const second: Drive<LibraryFile> = { ...DISK, serial: 'BOOKS' } as Drive<LibraryFile>
  const disksOf = (drives: Drive<LibraryFile>[]) =>
    devicesOf(guest('full', { drives })).match(/<disk type='file' device='disk'>[\s\S]*?<\/disk>/g)
  t.strictSame(disksOf([DISK, cdrom, second]), disksOf([DISK, second]))
})

t.test('the schema lets no more cards and folders through than there are places', async (t) => {
  const { guest } = JSON.parse(readFileSync(SCHEMA_FILE, 'utf8')).$defs
  t.equal(guest.properties.nics.maxItems, MOST.nics)
  t.equal(guest.properties.disks.maxItems, MOST.disks - 1 + MOST.cdroms)
  t.equal(guest.properties.shares.maxItems, MOST.shares)
  // An xHCI controller of libvirt's has at most 15 ports (formatdomain, "Controllers").
  t.ok(guest.properties.usb.maxItems <= 15)
})

t.test('a USB device is optional, and has a port of its own', async (t) => {
  const found = devicesOf(bench).match(/<hostdev [\s\S]*?<\/hostdev>/g) ?? []
  t.equal(found.length, 2)
  for (const one of found) t.match(one, "<source startupPolicy='optional'>")
  t.match(found[0], /<vendor id='0x046d'\/>\s+<product id='0xc52b'\/>/)
  t.match(found[1], /<vendor id='0x0403'\/>\s+<product id='0x6001'\/>/)
  const ports = found.map((one) => /<address type='usb' bus='0' port='(\d+)'/.exec(one)?.[1])
  t.strictSame(ports, ['1', '2'])
})

t.test('another device, card or folder moves none of those that were there', async (t) => {
  const places = (one: LibraryGuest) => devicesOf(one).match(/<address type='(pci|usb)'[^>]*>/g) ?? []
  const more = guest('bench', {
    ...bench,
    usb: [...bench.usb, { vendor: '1234', product: '5678' }],
    shares: [...bench.shares, { name: 'third' }],
    nics: [...bench.nics, { bridge: 'br0', mac: '52:54:00:12:34:5b', address: null }],
  })
  const kept = new Set(places(more))
  t.strictSame(
    places(bench).filter((place) => !kept.has(place)),
    [],
  )
  t.equal(kept.size, places(bench).length + 3)
})

t.test('a card is on the bridge or on the network of ours', async (t) => {
  const [bridged, ours] = devicesOf(bench).match(/<interface [\s\S]*?<\/interface>/g) ?? []
  t.match(
    bridged,
    /<interface type='bridge'>\s+<mac address='52:54:00:12:34:59'\/>\s+<source bridge='br0'\/>/,
  )
  t.match(
    ours,
    /<interface type='network'>\s+<mac address='52:54:00:12:34:5a'\/>\s+<source network='keyvisor'\/>/,
  )
})

t.test('a machine without USB devices keeps its usual controller', async (t) => {
  t.match(devicesOf(counter), "<controller type='usb' index='0' model='qemu-xhci'>")
  t.match(devicesOf(bench), "<controller type='usb' index='0' model='qemu-xhci' ports='15'>")
})

t.test('a guest without virtio has what every system knows', async (t) => {
  const cdrom: Drive<LibraryFile> = { kind: 'cdrom', base: ISO_FILE }
  const drives = [DISK, { kind: 'empty', size: GiB, serial: 'D1' } as const, cdrom, cdrom]
  for (const [machine, disk, network, places] of [
    ['pc-q35-10.0', 'sata', 'e1000e', ["bus='0' target='0' unit='0'", "bus='0' target='0' unit='3'"]],
    ['pc-i440fx-10.0', 'ide', 'e1000', ["bus='0' target='0' unit='0'", "bus='1' target='0' unit='1'"]],
  ] as const) {
    const one = guest('old', { hardware: { ...HARDWARE, machine, devices: 'compatible' }, drives })
    const xml = devicesOf(one)
    t.equal(xml.match(new RegExp(`bus='${disk}'`, 'g'))?.length, 4, machine)
    t.match(xml, `<model type='${network}'/>`)
    t.match(xml, /<input type='tablet' bus='usb'>/)
    t.notMatch(xml, /bus='virtio'\/>/, 'no drive on virtio')
    const addresses = xml.match(/<address type='drive'[^>]*>/g) ?? []
    t.equal(new Set(addresses).size, 4, 'each has a place of its own')
    for (const place of places)
      t.ok(
        addresses.some((address) => address.includes(place)),
        place,
      )
    t.equal(mostCompatibleDrives(machine), disk === 'sata' ? 6 : 4)
  }
})
