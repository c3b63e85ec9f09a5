import { readFileSync } from 'node:fs'
import t from 'tap'
import { GiB, MiB } from '../../../src/base/units.js'
import { definitionOf } from '../../../src/guest/metadata.js'
import type { Sized } from '../../../src/guest/sizing.js'
import { fixture, golden } from '../../support/golden.js'
import { bench, counter, guest, HYPERVISOR, locked, old } from '../../support/guests.js'

const { adaptDomain, domainXml, sameDomain } = HYPERVISOR

const kvm: Sized = { name: 'x', start: true, reason: '', memory: GiB, cpus: 2, accelerator: 'kvm' }
const tcg: Sized = { ...kvm, memory: 384 * MiB, cpus: 1, accelerator: 'tcg' }

/** A domain as libvirt 11.3 of Debian 13 prints it, with all that libvirt adds; see fixtures/plan/README.md. */
const printed = readFileSync(fixture('counter.libvirt.xml'), 'utf8')

t.test('domains are as they were checked', async (t) => {
  golden(t, 'counter.kvm.xml', domainXml(counter, kvm))
  golden(t, 'counter.tcg.xml', domainXml(counter, tcg))
  golden(t, 'old.tcg.xml', domainXml(old, tcg))
  golden(t, 'locked.kvm.xml', domainXml(locked, { ...kvm, cpus: 4 }))
  golden(t, 'bench.kvm.xml', domainXml(bench, kvm))
})

t.test('memory is shared only where a folder is', async (t) => {
  t.match(domainXml(bench, kvm), /<memoryBacking>\s+<source type='memfd'\/>\s+<access mode='shared'\/>/)
  t.notMatch(domainXml(counter, kvm), /memoryBacking|filesystem/)
})

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

t.test(
  'a domain tells which definition it was made from, as we write it and as libvirt prints it',
  async (t) => {
    t.equal(definitionOf(domainXml(counter, kvm)), 'cd'.repeat(32))
    t.equal(definitionOf(printed), 'cd'.repeat(32))
    t.equal(definitionOf(printed.replace(/<keyvisor:guest.*\/>/, '')), undefined)
    t.equal(definitionOf(printed.replace('urn:keyvisor:guest:1', 'urn:another')), undefined)
  },
)

t.test('a domain that was adapted to another PC is the same', async (t) => {
  for (const sized of [kvm, { ...tcg, cpus: 2 }, { ...kvm, memory: 3 * GiB, cpus: 1 }]) {
    t.ok(sameDomain(printed, adaptDomain(printed, sized)))
    t.ok(sameDomain(adaptDomain(printed, sized), printed))
  }
})

t.test('a domain that somebody edited is another', async (t) => {
  const edits: [string, string][] = [
    ['<memballoon', "<sound model='ich9'/>\n    <memballoon"],
    ['</name>', '</name>\n  <description>mine</description>'],
    ["cores='2'", "cores='4'"],
    ["<cpu mode='maximum' check='none'>", "<cpu mode='custom' match='exact'>"],
    ['>2</vcpu>', '>4</vcpu>'],
    ["hpet' present='no'", "hpet' present='yes'"],
  ]
  for (const [old, new_] of edits) {
    const edited = printed.replace(old, new_)
    t.not(edited, printed, old)
    t.notOk(sameDomain(printed, edited), new_)
  }
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
