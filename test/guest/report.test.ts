import { readFileSync } from 'node:fs'
import { Ajv2020 } from 'ajv/dist/2020.js'
import t from 'tap'
import {
  consoleLines,
  decodeEvent,
  doneEvent,
  encodeEvent,
  type GuestEvent,
  type HostEvent,
  heard,
  type ReportEvent,
} from '../../src/guest/report.js'

const host: HostEvent = {
  event: 'host',
  name: 'demo',
  firmware: 'uefi',
  secureBoot: 'enabled',
  accelerator: 'kvm',
  memory: 4_294_967_296,
  cpus: 4,
  version: 2,
  architecture: 'amd64',
  slot: 'a',
  slots: { a: '0a'.repeat(32), b: null },
  seconds: 12.5,
}
const guest: GuestEvent = {
  event: 'guest',
  name: 'counter',
  state: 'ready',
  reason: '',
  accelerator: 'kvm',
  memory: 536_870_912,
  cpus: 2,
  seconds: 18.2,
  said: 'start number 1',
  hypervisor: 'KVM',
  note: '',
  confinement: { user: 'libvirt-qemu', apparmor: 'libvirt-1 (enforce)', seccomp: true },
  hardware: {
    uuid: 'u',
    serial: 's',
    macs: ['52:54:00:00:00:01'],
    diskSerials: ['d'],
    memory: 536_870_912,
    cpus: 2,
    accelerator: 'kvm',
  },
}
const events: ReportEvent[] = [
  host,
  guest,
  {
    event: 'problem',
    code: 'verity',
    message: 'verity: keyvisor-root has a block that is not as it was built',
  },
  {
    event: 'network',
    addresses: ['enp1s0 192.0.2.7/24', 'enp1s0 2001:db8::7/64'],
    subnet: '172.29.86.1/24',
    listens: [
      { protocol: 'tcp', address: '[::]', port: 22 },
      { protocol: 'udp', address: '127.0.0.53%lo', port: 53 },
    ],
  },
  { event: 'data', state: 'full', free: 0, guests: ['counter'] },
  { ...guest, confinement: null, hardware: null },
  doneEvent([guest, { ...guest, state: 'failed' }, { ...guest, state: 'skipped' }], 40),
]

const schema = JSON.parse(
  readFileSync(new URL('../../schemas/boot-report.schema.json', import.meta.url), 'utf8'),
)
const ajv = new Ajv2020({ allErrors: true, strictRequired: false })
ajv.addKeyword('x-unit')
const valid = ajv.compile(schema)

t.test('the schema takes every event, and nothing else', async (t) => {
  for (const event of events) t.ok(valid(event), event.event)
  t.notOk(valid({ ...host, extra: 1 }), 'an unknown member')
  t.notOk(valid({ ...guest, state: 'fine' }), 'an unknown state')
  t.notOk(valid({ event: 'done', seconds: 1 }), 'a missing member')
  t.notOk(valid({ event: 'other' }), 'an unknown event')
  t.notOk(valid({ ...host, slots: { ...host.slots, a: 'abc' } }), 'a hash that is none')
  t.notOk(valid({ ...host, version: 1 }), 'another version')
})

t.test('every member has a title and a description', async (t) => {
  const definitions = Object.values(schema.$defs) as Record<string, unknown>[]
  const members = definitions.flatMap((one) => Object.values(one['properties'] ?? {}) as object[])
  t.ok(members.length > 20)
  for (const one of [...definitions, ...members]) {
    if (!('$ref' in one)) t.hasProps(one, ['title', 'description'], JSON.stringify(one))
  }
})

t.test('done counts the states', async (t) => {
  t.strictSame(events.at(-1), {
    event: 'done',
    seconds: 40,
    guests: { ready: 1, started: 0, failed: 1, skipped: 1 },
  })
})

t.test('a line is ASCII, and is read back', async (t) => {
  const event: GuestEvent = { ...guest, said: 'Größe 🙂 \u0000\u007f' }
  const line = encodeEvent(event)
  t.match(line, /^[\x20-\x7e]+$/)
  t.strictSame(decodeEvent(line), event)
  t.strictSame(decodeEvent(`demo login: KEYVISOR ${line}\r`), event)
})

t.test('other lines are no events', async (t) => {
  for (const line of ['', 'KEYVISOR', 'KEYVISOR {"event":"host"', '[ 1.0] Linux', '{"a":1}', '"event"']) {
    t.equal(decodeEvent(line), undefined, line)
  }
})

t.test('what the report carries of a console', async (t) => {
  const text = [
    '\u001b[2J[    0.000000] Hypervisor detected: KVM\r',
    'keyvisor: start number 1\r',
    '[  OK  ] said keyvisor: not at the start\r',
    '\u001b[0;32mkeyvisor: start number 2\u001b[0m\r',
    'keyvisor: still being writ',
  ].join('\n')
  t.strictSame(heard(text), { said: 'start number 2', hypervisor: 'KVM' })
  t.strictSame(heard(''), { said: '', hypervisor: '' })
})

t.test('lines without what a terminal makes of them', async (t) => {
  t.strictSame(consoleLines('\u001b[1;1Ha\u001b[K\r\n\r\nb\n'), ['a', '', 'b'])
})
