import t from 'tap'
import { GiB, MiB } from '../../src/base/units.js'
import type { GuestEvent, Hardware, HostEvent } from '../../src/guest/report.js'
import type { Sized } from '../../src/guest/sizing.js'
import { judgeStop, type Stop } from '../../src/lab/walk-checks.js'
import type { ManifestGuest } from '../../src/stick/manifest.js'

const PC = { firmware: 'bios', memory: 2 * GiB, cpus: 2 } as const
const UUID = '3a1e0b4c-0000-8000-8000-000000000001'

const host: HostEvent = {
  event: 'host',
  name: 'walk',
  firmware: 'bios',
  secureBoot: 'unsupported',
  accelerator: 'kvm',
  memory: PC.memory,
  cpus: PC.cpus,
  seconds: 31,
  version: 2,
  architecture: 'amd64',
  slot: 'a',
  slots: { a: null, b: null },
}

const hardware: Hardware = {
  uuid: UUID,
  macs: ['52:54:00:00:00:01'],
  serial: 'KV-1',
  diskSerials: ['KV-d1', 'KV-d2'],
  memory: 512 * MiB,
  cpus: 2,
  accelerator: 'kvm',
}

const ready: GuestEvent = {
  event: 'guest',
  name: 'counter',
  state: 'ready',
  reason: '',
  accelerator: 'kvm',
  seconds: 20,
  memory: 512 * MiB,
  cpus: 2,
  said: 'start number 1',
  hypervisor: 'KVM',
  note: '',
  confinement: null,
  hardware,
}

const drives = ['KV-d1', 'KV-d2'].map((serial) => ({ kind: 'empty', serial }))
const counter = {
  name: 'counter',
  uuid: UUID,
  changes: 'keep',
  autostart: 10,
  drives,
} as unknown as ManifestGuest
const forgetful: ManifestGuest = { ...counter, changes: 'discard' }

const planned: Sized = {
  name: 'counter',
  start: true,
  reason: '',
  memory: 512 * MiB,
  cpus: 2,
  accelerator: 'kvm',
}

/** A stop on a PC of this name, where the guest was so. */
function stop(name: string, guest: Partial<GuestEvent> = {}): Stop {
  return { name, events: [host, { ...ready, ...guest }] }
}

const says = (name: string, said: string) => stop(name, { said })

/** What the last stop proves, as lines. */
function verdict(stops: Stop[], guest = counter, sized = planned): string[] {
  const checks = judgeStop(stops.at(-1) as Stop, stops.slice(0, -1), PC, [guest], [sized])
  return checks.map(({ name, passed, detail }) => `${passed ? 'ok' : 'FAILED'} ${name}: ${detail}`)
}

/** The line of one check. */
const line = (kind: string, lines: string[]) => lines.find((text) => text.includes(` ${kind} `))

t.test('a good first stop', async (t) => {
  t.strictSame(verdict([stop('a')]), [
    'ok pc: 2GiB and 2 CPUs',
    'ok firmware: started by bios, Secure Boot unsupported',
    'ok size counter: 512MiB, 2 CPUs, KVM, as planned',
    `ok identity counter: UUID ${UUID}`,
    'ok said counter: "start number 1"',
  ])
})

t.test('a good second one', async (t) => {
  t.strictSame(verdict([stop('a'), says('b', 'start number 2')]), [
    'ok pc: 2GiB and 2 CPUs',
    'ok firmware: started by bios, Secure Boot unsupported',
    'ok size counter: 512MiB, 2 CPUs, KVM, as planned',
    'ok identity counter: the same as on a',
    'ok said counter: "start number 2", one more than on a',
  ])
})

t.test('a counter rises by one: not by none, not by two, and not back', async (t) => {
  for (const said of ['start number 1', 'start number 3', 'start number 0'])
    t.equal(
      line('said', verdict([stop('a'), says('b', said)])),
      `FAILED said counter: "${said}" is not one more than "start number 1" on a`,
    )
  t.equal(
    line('said', verdict([says('a', 'start number 9'), says('b', 'start number 10')])),
    'ok said counter: "start number 10", one more than on a',
  )
})

t.test('a guest that fell silent did not count', async (t) => {
  t.match(line('said', verdict([stop('a'), says('b', '')])), /^FAILED said counter: "" is not one more/)
})

t.test('a PC on which nothing was heard of it may have counted', async (t) => {
  const broke: Stop = { name: 'b', events: [host] }
  const said = (text: string) => line('said', verdict([stop('a'), broke, says('c', text)]))
  t.equal(said('start number 2'), 'ok said counter: "start number 2", one more than on a')
  t.equal(
    said('start number 3'),
    'ok said counter: "start number 3", 2 more than on a; nothing was heard of it on b',
  )
  t.match(said('start number 4'), /^FAILED said .* on a; nothing was heard of it on b$/)
  t.match(said('start number 1'), /^FAILED said /)
  t.match(said(''), /^FAILED said /)
})

t.test('a PC on which it did not run is no step', async (t) => {
  const leftOut = stop('b', { state: 'skipped', said: '', hardware: null })
  t.equal(
    line('said', verdict([stop('a'), leftOut, says('c', 'start number 2')])),
    'ok said counter: "start number 2", one more than on a',
  )
  t.notOk(
    verdict([stop('a'), leftOut]).some((text) => text.includes('counter')),
    'nothing is asked of it there',
  )
  const first = stop('a', { state: 'skipped', hardware: null })
  t.equal(line('identity', verdict([first, stop('b')])), `ok identity counter: UUID ${UUID}`)
})

t.test('a guest without a number is not judged, and that is said', async (t) => {
  const stops = [says('a', 'hello'), says('b', 'hello')]
  t.equal(line('said', verdict(stops)), 'ok said counter: it says no number: not judged')
  t.equal(line('said', verdict([says('a', ''), stop('b')])), 'ok said counter: "start number 1"')
})

t.test('a guest that discards its changes says the same everywhere', async (t) => {
  const told = (...said: string[]) =>
    line(
      'said',
      verdict(
        said.map((text, at) => says('ab'[at] ?? '', text)),
        forgetful,
      ),
    )
  t.equal(told('start number 1', 'start number 1'), 'ok said counter: "start number 1", as on a')
  t.equal(
    told('start number 1', 'start number 2'),
    'FAILED said counter: "start number 2", and "start number 1" on a: it should have forgotten',
  )
  t.equal(told(''), 'ok said counter: it says nothing: not judged')
})

t.test('each part of the identity counts', async (t) => {
  const changes: [Partial<Hardware>, string][] = [
    [{ macs: ['52:54:00:00:00:02'] }, 'MAC addresses: 52:54:00:00:00:01 on a, 52:54:00:00:00:02 here'],
    [{ serial: 'KV-2' }, 'SMBIOS serial: KV-1 on a, KV-2 here'],
    [{ diskSerials: ['KV-d2', 'KV-d1'] }, 'its disks are KV-d2, KV-d1, and were built as KV-d1, KV-d2'],
    [{ uuid: 'f' }, `its UUID is f, and was built as ${UUID}`],
    [{ serial: '' }, 'it has no SMBIOS serial'],
    [{ diskSerials: [] }, 'its disks are none, and were built as KV-d1, KV-d2'],
  ]
  for (const [change, words] of changes) {
    const stops = [stop('a'), stop('b', { hardware: { ...hardware, ...change } })]
    t.equal(line('identity', verdict(stops)), `FAILED identity counter: ${words}`)
  }
  t.equal(
    line('identity', verdict([stop('a', { hardware: null })])),
    'FAILED identity counter: the stick did not say what its QEMU was started with',
  )
})

t.test('memory, CPUs and accelerator of its QEMU are those planned', async (t) => {
  const size = (change: Partial<Hardware>) =>
    line('size', verdict([stop('a', { ...change, hardware: { ...hardware, ...change } })]))
  t.equal(
    size({ memory: 256 * MiB }),
    'FAILED size counter: planned are 512MiB, 2 CPUs, KVM; its QEMU has 256MiB, 2 CPUs, KVM',
  )
  t.match(size({ accelerator: 'tcg' }), /^FAILED size .* has 512MiB, 2 CPUs, TCG$/)
  t.match(size({ cpus: 1 }), /^FAILED size .* has 512MiB, 1 CPU, KVM$/)
  const less = { ...planned, memory: 128 * MiB }
  t.match(line('size', verdict([stop('a')], counter, less)), /^FAILED size counter: planned are 128MiB/)
})

t.test('a stick that says another size than its guest has', async (t) => {
  t.match(
    line('size', verdict([stop('a', { hardware: { ...hardware, memory: 256 * MiB } })])),
    /^FAILED size counter: planned are 512MiB, .*; its QEMU has 256MiB/,
    'its word alone is no proof',
  )
  t.equal(
    line('size', verdict([stop('a', { cpus: 1 })])),
    'FAILED size counter: it has 512MiB, 2 CPUs, KVM; the stick says 512MiB, 1 CPU, KVM',
  )
  t.match(line('size', verdict([stop('a', { hardware: null })])), /^FAILED size .* did not say what its QEMU/)
})

t.test('a stick that was started by something else', async (t) => {
  const by = (firmware: 'bios' | 'uefi' | 'secureboot', told: Partial<HostEvent>) => {
    const stops: Stop = { name: 'a', events: [{ ...host, ...told }] }
    return judgeStop(stops, [], { ...PC, firmware }, [], []).find(({ name }) => name === 'firmware')?.passed
  }
  t.equal(by('bios', {}), true)
  t.equal(by('uefi', { firmware: 'uefi' }), true)
  t.equal(by('secureboot', { firmware: 'uefi', secureBoot: 'enabled' }), true)
  t.equal(by('secureboot', { firmware: 'uefi', secureBoot: 'disabled' }), false)
  t.equal(by('uefi', {}), false)
})

t.test('a host that takes its PC for another', async (t) => {
  const odd: Stop = { name: 'a', events: [{ ...host, memory: GiB }] }
  t.equal(verdict([odd])[0], 'FAILED pc: the host found 1GiB and 2 CPUs, the PC has 2GiB and 2 CPUs')
  t.strictSame(verdict([{ name: 'a', events: [] }]), [], 'a host that never came up is said elsewhere')
})
