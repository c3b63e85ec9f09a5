/**
 * Definitions over the life of a stick: boots of one library, then of another, with or without an edit between them.
 */
import { readFileSync } from 'node:fs'
import t from 'tap'
import { defineDomain } from '../../src/aboard/definition.js'
import type { Sized } from '../../src/guest/sizing.js'
import { type Fake, fakeMachine } from '../support/fake.js'
import { fixture } from '../support/golden.js'
import { DISK, guest } from '../support/guests.js'

const FOLDER = '/data/guests/b/definition'
const kvm: Sized = { name: 'b', start: true, reason: '', memory: 2 ** 30, cpus: 2, accelerator: 'kvm' }
const tcg: Sized = { ...kvm, memory: 2 ** 29, cpus: 1, accelerator: 'tcg' }
const first = guest('b')
const second = guest('b', {
  definition: 'ef'.repeat(32),
  drives: [DISK, { kind: 'empty', size: 2 ** 30, serial: 'NEW' }],
})

/** A stick whose libvirt takes what it is given, and prints it with something of its own. */
function stick(): Fake & { domain: string | undefined } {
  const machine = fakeMachine({}, (line) => {
    const words = line.split(' ')
    const last = words.at(-1) as string
    if (words.includes('define')) state.domain = printed(machine.files.get(last) as string)
    if (words.includes('mv')) {
      machine.files.set(last, machine.files.get(words.at(-2) as string) as string)
      machine.files.delete(words.at(-2) as string)
    }
    if (words.includes('rm')) machine.files.delete(last)
    if (!words.includes('dumpxml')) return undefined
    return state.domain ?? { code: 1, stderr: "error: failed to get domain 'b'" }
  })
  const state = Object.assign(machine, { domain: undefined as string | undefined })
  return state
}

/** What libvirt adds, once: audio, and the quotes of metadata (as in fixtures/plan/counter.libvirt.xml). */
function printed(xml: string): string {
  const metadata = xml.replace(/<keyvisor:guest.*>/, (element) => element.replaceAll("'", '"'))
  return metadata.includes('<audio')
    ? metadata
    : metadata.replace('    <video>', "    <audio id='1' type='none'/>\n    <video>")
}

const edit = (machine: { domain: string | undefined }, old: string, new_: string) => {
  machine.domain = machine.domain?.replace(old, new_)
}
const MINE = "<sound model='ich9'/>\n    <memballoon"
const KEPT = `you edited this domain, so it was kept; the new definition is in ${FOLDER}/new.xml`

t.test('what libvirt printed of a new domain is kept, whole, in a folder for root alone', async (t) => {
  const machine = stick()
  t.equal(defineDomain(machine, first, kvm), '')
  t.equal(machine.files.get(`${FOLDER}/defined.xml`), machine.domain)
  t.match(machine.domain, '<audio', 'printed, not written')
  const ran = machine.ran
  t.ok(ran.includes(`mkdir -p -m 0700 ${FOLDER}`))
  t.ok(
    ran.indexOf(`sync ${FOLDER}/defined.xml.new`) <
      ran.indexOf(`mv -T ${FOLDER}/defined.xml.new ${FOLDER}/defined.xml`),
  )
  t.equal(ran.at(-1), `sync ${FOLDER}`)
})

t.test('a domain that nobody edited follows the library, also after boots on other PCs', async (t) => {
  for (const between of [[], [tcg], [tcg, kvm], [{ ...kvm, memory: 2 ** 31 }, tcg]]) {
    const machine = stick()
    for (const sized of [kvm, ...between]) t.equal(defineDomain(machine, first, sized), '')
    t.equal(defineDomain(machine, second, kvm), '')
    t.match(machine.domain, '<serial>NEW</serial>')
    t.match(machine.domain, second.definition)
    t.equal(machine.files.get(`${FOLDER}/defined.xml`), machine.domain, 'and the next one finds it unedited')
  }
})

t.test('memory and CPUs that somebody set are no edit: a boot sets them anyway', async (t) => {
  const machine = stick()
  defineDomain(machine, first, kvm)
  edit(machine, "<currentMemory unit='KiB'>1048576<", "<currentMemory unit='KiB'>524288<")
  t.equal(defineDomain(machine, second, kvm), '')
  t.match(machine.domain, second.definition)
})

t.test('a domain that somebody edited is kept and fitted to the PC, and said to be', async (t) => {
  const machine = stick()
  defineDomain(machine, first, kvm)
  edit(machine, '<memballoon', MINE)
  t.equal(defineDomain(machine, first, kvm), '', 'the same library has nothing to say')
  t.equal(defineDomain(machine, second, tcg), KEPT)
  t.match(machine.domain, MINE)
  t.match(machine.domain, first.definition)
  t.match(machine.domain, "<domain type='qemu'>")
  t.match(machine.domain, "<memory unit='KiB'>524288<")
  t.match(machine.files.get(`${FOLDER}/new.xml`), '<serial>NEW</serial>')

  const writes = () => machine.ran.filter((line) => line.startsWith('mv')).length
  const before = writes()
  t.equal(defineDomain(machine, second, tcg), KEPT, 'every boot says so')
  t.equal(writes(), before, 'and writes nothing that is there already')
})

t.test('an edited CPU model is an edit while the accelerator is the same', async (t) => {
  const machine = stick()
  defineDomain(machine, first, kvm)
  edit(machine, "mode='host-model' check='partial'", "mode='host-passthrough' check='none'")
  t.equal(defineDomain(machine, second, kvm), KEPT)
  t.match(machine.domain, 'host-passthrough')
})

t.test('who takes the new definition, or has the domain made anew, hears no more of it', async (t) => {
  for (const act of ['define', 'undefine']) {
    const machine = stick()
    defineDomain(machine, first, kvm)
    edit(machine, '<memballoon', MINE)
    defineDomain(machine, second, kvm)
    machine.domain = act === 'define' ? printed(machine.files.get(`${FOLDER}/new.xml`) as string) : undefined
    t.equal(defineDomain(machine, second, kvm), '', act)
    t.match(machine.domain, second.definition)
    t.notOk(machine.files.has(`${FOLDER}/new.xml`), 'what is in use lies beside it no more')
  }
})

t.test('a domain of which nothing was kept counts as edited', async (t) => {
  const machine = stick()
  defineDomain(machine, first, kvm)
  machine.files.delete(`${FOLDER}/defined.xml`)
  t.equal(defineDomain(machine, second, kvm), KEPT)
  t.match(machine.domain, first.definition)
})

t.test('a stick that was pulled before a definition was kept: the domain counts as edited', async (t) => {
  const machine = stick()
  defineDomain(machine, first, kvm)
  const stale = machine.files.get(`${FOLDER}/defined.xml`) as string
  defineDomain(machine, second, kvm)
  machine.files.set(`${FOLDER}/defined.xml`, stale)
  t.equal(defineDomain(machine, guest('b', { definition: '12'.repeat(32) }), kvm), KEPT)
  t.match(machine.domain, second.definition)
})

t.test("a domain that is not ours, under a guest's name, is kept", async (t) => {
  const machine = stick()
  machine.domain = readFileSync(fixture('counter.libvirt.xml'), 'utf8').replace(
    / {2}<metadata>[\s\S]*<\/metadata>\n/,
    '',
  )
  t.equal(defineDomain(machine, first, kvm), KEPT)
})

t.test('passwords of screens are asked for, or defining a domain again would take them away', async (t) => {
  const machine = stick()
  defineDomain(machine, first, kvm)
  const dumps = machine.ran.filter((line) => line.includes('dumpxml'))
  t.equal(dumps.length, 2)
  for (const line of dumps) t.match(line, / dumpxml --inactive --security-info b$/)
})
