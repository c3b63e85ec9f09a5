import { readFileSync } from 'node:fs'
import t from 'tap'
import { GiB, MiB } from '../../src/base/units.js'
import {
  adaptDomain,
  domainPaths,
  domainXml,
  MOST_DISKS,
  MOST_NICS,
  networkXml,
} from '../../src/plan/domain.js'
import { NETWORK } from '../../src/plan/identity.js'
import type { Sized } from '../../src/plan/sizing.js'
import type { LibraryGuest } from '../../src/plan/types.js'
import { fixture, golden } from './golden.js'
import { counter, guest, locked, old } from './guests.js'

const kvm: Sized = { name: 'x', start: true, reason: '', memory: GiB, cpus: 2, accelerator: 'kvm' }
const tcg: Sized = { ...kvm, memory: 384 * MiB, cpus: 1, accelerator: 'tcg' }

/** A domain as libvirt 11.3 of Debian 13 prints it, with all that libvirt adds; see fixtures/plan/README.md. */
const printed = readFileSync(fixture('counter.libvirt.xml'), 'utf8')

t.test('domains are as they were checked', async (t) => {
  golden(t, 'counter.kvm.xml', domainXml(counter, kvm))
  golden(t, 'counter.tcg.xml', domainXml(counter, tcg))
  golden(t, 'old.tcg.xml', domainXml(old, tcg))
  golden(t, 'locked.kvm.xml', domainXml(locked, { ...kvm, cpus: 4 }))
  golden(t, 'network.xml', networkXml(NETWORK, [counter, old, locked]))
})

t.test('no two devices share a PCI address, in the fullest machine of each type', async (t) => {
  for (const machine of ['pc-q35-10.0', 'pc-i440fx-10.0']) {
    const xml = domainXml(fullest(machine), kvm)
    const places = xml.match(/<address type='pci'[^>]*function='0x.'/g) ?? []
    // Video, USB, serial, RNG, balloon, tablet and SATA or IDE; two ports on q35.
    t.equal(places.length, MOST_NICS + MOST_DISKS + (machine.includes('q35') ? 9 : 7), machine)
    t.equal(new Set(places).size, places.length, `${machine}: all different`)
    t.notMatch(places.join(), /slot='0x00'/, 'nothing on the host bridge')
  }
})

function fullest(machine: string): LibraryGuest {
  const disks = Array.from({ length: MOST_DISKS - 1 }, (_, index) => ({ size: GiB, serial: `D${index}` }))
  const nics = Array.from({ length: MOST_NICS }, (_, index) => ({
    network: 'keyvisor',
    mac: `52:54:00:00:00:0${index}`,
    address: `172.29.86.${index + 10}`,
  }))
  return guest('full', { machine, disks, nics })
}

t.test('another PC changes nothing that a guest remembers', async (t) => {
  const changing = /<domain type|memory|Memory|<vcpu|<cpu/
  const fixed = (sized: Sized) =>
    domainXml(counter, sized)
      .split('\n')
      .filter((line) => !changing.test(line))
  t.strictSame(fixed(kvm), fixed(tcg))
})

t.test('text is escaped', async (t) => {
  const xml = domainXml(guest('a', { serial: `<&'">` }), kvm)
  t.match(xml, `<entry name='serial'>&#60;&#38;&#39;&#34;&#62;</entry>`)
})

t.test('files of a guest have their own names', async (t) => {
  const paths = domainPaths(counter)
  t.equal(paths.disk, '/data/guests/counter/disk.qcow2')
  t.strictSame(paths.disks, ['/data/guests/counter/disk-1.qcow2'])
})

t.test('adapting to the same PC changes nothing', async (t) => {
  t.equal(adaptDomain(printed, tcg), printed)
})

t.test('adapting to a PC of the same kind changes memory and CPUs only', async (t) => {
  const adapted = adaptDomain(printed, { ...tcg, memory: 512 * MiB, cpus: 2 })
  t.strictSame(changes(printed, adapted), [
    ["  <memory unit='KiB'>393216</memory>", "  <memory unit='KiB'>524288</memory>"],
    [
      "  <currentMemory unit='KiB'>393216</currentMemory>",
      "  <currentMemory unit='KiB'>524288</currentMemory>",
    ],
    ["  <vcpu placement='static' current='1'>2</vcpu>", "  <vcpu placement='static'>2</vcpu>"],
  ])
})

t.test('adapting to a PC with KVM changes accelerator and CPU model too, and back again', async (t) => {
  const adapted = adaptDomain(printed, { ...tcg, accelerator: 'kvm' })
  t.strictSame(changes(printed, adapted), [
    ["<domain type='qemu'>", "<domain type='kvm'>"],
    ["  <cpu mode='maximum' check='none'>", "  <cpu mode='host-model' check='partial'>"],
  ])
  t.equal(adaptDomain(adapted, tcg), printed)
})

t.test("a user's CPU model stays while the accelerator stays", async (t) => {
  const own = printed.replace(
    / {2}<cpu [\s\S]*<\/cpu>/,
    "  <cpu mode='custom' match='exact'>\n    <model>Nehalem</model>\n  </cpu>",
  )
  t.match(adaptDomain(own, { ...tcg, cpus: 2 }), '<model>Nehalem</model>')
  t.notMatch(adaptDomain(own, kvm), /Nehalem/)
})

t.test("a user's fewer CPUs are the limit", async (t) => {
  const own = printed.replace(" current='1'>2<", '>1<')
  t.match(adaptDomain(own, { ...tcg, cpus: 2 }), "<vcpu placement='static'>1</vcpu>")
})

t.test('an element of the same name further inside is not touched', async (t) => {
  const inside =
    "    <x:own xmlns:x='urn:x'>\n      <memory unit='KiB'>7</memory>\n    </x:own>\n  </metadata>"
  const own = printed.replace('  </metadata>', inside)
  const adapted = adaptDomain(own, { ...tcg, memory: GiB })
  t.match(adapted, "      <memory unit='KiB'>7</memory>")
  t.match(adapted, "\n  <memory unit='KiB'>1048576</memory>")
})

t.test('what is no domain is refused', async (t) => {
  t.throws(() => adaptDomain('<domain/>', kvm), /no element memory/)
})

/** Pairs of lines that differ; both texts have equally many. */
function changes(before: string, after: string): [string, string][] {
  const new_ = after.split('\n')
  return before
    .split('\n')
    .map((line, index): [string, string] => [line, new_[index] ?? ''])
    .filter(([line, other]) => line !== other)
}
