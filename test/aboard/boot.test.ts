import t from 'tap'
import { boot } from '../../src/aboard/boot.js'
import type { Ran } from '../../src/aboard/machine.js'
import { LIBRARY_VERSION, type LibraryGuest } from '../../src/guest/definition.js'
import { basesOf } from '../../src/guest/drives.js'
import { decodeEvent, type GuestEvent, type ReportEvent } from '../../src/guest/report.js'
import { NETWORK } from '../../src/plan/identity.js'
import { type Fake, fakeMachine } from '../support/fake.js'
import { BASE_FILE, bench, counter, DISK, guest, HYPERVISOR, ISO_FILE, old } from '../support/guests.js'

const NO_DOMAIN = { code: 1, stderr: "error: failed to get domain 'x'" }
const PORT = '/dev/virtio-ports/org.keyvisor.report.0'

type Answer = (line: string, machine: Fake) => string | Partial<Ran> | undefined

/** A stick whose guests all start well; `answer` has the first word. */
function stick(
  guests: LibraryGuest[],
  answer: Answer = () => undefined,
  files: Record<string, string> = {},
): Fake {
  const index = { version: LIBRARY_VERSION, name: 'demo', network: NETWORK, guests }
  const bases = Object.fromEntries(basesOf(guests).map(({ file }) => [`/run/keyvisor/library/${file}`, '']))
  return fakeMachine(
    {
      '/proc/meminfo': 'MemTotal: 8388608 kB\n',
      '/proc/cpuinfo': 'processor : 0\nprocessor : 1\n',
      '/proc/uptime': '9.5 1\n',
      '/dev/kvm': '',
      '/run/keyvisor/library/guests.json': JSON.stringify(index),
      '/run/keyvisor/stick': 'disk=sda\nsettings=sda5\n',
      ...bases,
      ...files,
    },
    (line, machine) => answer(line, machine) ?? usual(line, machine),
  )
}

function usual(line: string, machine: Fake): Partial<Ran> | undefined {
  if (line.includes('dumpxml')) return NO_DOMAIN
  const started = /virsh .* start (\S+)$/.exec(line)
  if (started) machine.files.set(`/run/libvirt/qemu/${started[1]}.pid`, '1')
  const moved = /^mv -T (\S+) (\S+)$/.exec(line)
  if (moved) machine.files.set(moved[2] as string, machine.files.get(moved[1] as string) ?? '')
  return undefined
}

/** What the boot told, as its port has it. */
function told(machine: Fake): ReportEvent[] {
  boot(machine)
  const lines = machine.sent.get(PORT)?.trimEnd().split('\n') ?? []
  return lines.map((line) => decodeEvent(line) as ReportEvent)
}

function guestsOf(events: ReportEvent[]): GuestEvent[] {
  return events.filter((event) => event.event === 'guest')
}

/** Place of the first program run that looks so; fails the caller's comparison when there is none. */
function at(machine: Fake, text: string): number {
  const place = machine.ran.findIndex((line) => line.includes(text))
  return place < 0 ? Number.NaN : place
}

t.test('a first boot makes disks, defines and starts guests in order, and tells all', async (t) => {
  const first = guest('first', { autostart: 5, ready: { kind: 'none' } })
  const machine = stick([counter, first])
  const events = told(machine)
  t.strictSame(
    events.map((event) => [event.event, 'name' in event ? event.name : '']),
    [
      ['host', 'demo'],
      ['guest', 'first'],
      ['guest', 'counter'],
      ['network', ''],
      ['done', ''],
    ],
  )
  t.match(events[1], { state: 'started', reason: 'started, not proven', accelerator: 'kvm', cpus: 2 })
  t.match(events[2], { state: 'ready', reason: '' })
  t.match(events[4], { guests: { ready: 1, started: 1, failed: 0, skipped: 0 } })
  const create = `qemu-img create -q -f qcow2 -F qcow2 -b /run/keyvisor/library/${BASE_FILE.file} -o cluster_size=128k,extended_l2=on /data/guests/counter/disk.qcow2.new 2147483648`
  t.ok(machine.ran.includes(create))
  t.ok(at(machine, 'net-create') < at(machine, 'start first'))
  t.ok(at(machine, 'nft -f') < at(machine, 'net-create'))
  t.ok(
    at(machine, 'sync /data/guests/counter/disk.qcow2.new') <
      at(machine, 'mv -T /data/guests/counter/disk.qcow2.new'),
  )
  t.ok(at(machine, 'start first') < at(machine, 'start counter'))
  t.ok(
    at(machine, 'mv -T /data/guests/counter/disk-1.qcow2.new') <
      at(machine, 'define /data/guests/counter/definition/wanted.xml'),
  )
})

t.test('every sink gets every event', async (t) => {
  const machine = stick([counter])
  const lines = told(machine).map((event) => JSON.stringify(event))
  t.strictSame(machine.printed, lines)
  t.equal(machine.sent.get('/dev/ttyS0'), lines.map((line) => `\nKEYVISOR ${line}\n`).join(''))
  t.match(machine.files.get('/run/issue.d/20-keyvisor.issue'), 'counter: ready (port 8080)')
  t.match(JSON.parse(machine.files.get('/run/keyvisor/status.json') ?? ''), { guests: [{ state: 'ready' }] })
})

t.test('a guest that fails stops no other', async (t) => {
  const answer: Answer = (line) =>
    line.includes('start counter')
      ? { code: 1, stderr: 'error: Failed to start domain\nerror: no memory\n' }
      : undefined
  const [failed, next] = guestsOf(told(stick([counter, guest('next', { autostart: 20 })], answer)))
  t.match(failed, { name: 'counter', state: 'failed' })
  t.equal(failed?.reason, 'virsh failed (exit code 1): error: Failed to start domain; error: no memory')
  t.match(next, { name: 'next', state: 'started' })
})

t.test('a guest that is paused since the stick is full is not waited for', async (t) => {
  const web = guest('web', { autostart: 5, ready: { kind: 'log', pattern: '^never$' } })
  const answer: Answer = (line) => {
    if (line.startsWith('df ')) return ' Avail\n4096\n'
    return line.includes('domstate web') ? 'paused (I/O error)\n' : undefined
  }
  const events = told(stick([web], answer))
  t.match(
    events.find(({ event }) => event === 'problem'),
    { code: 'data', message: 'the data partition is full (4KiB free): make space on /data' },
  )
  const [paused] = guestsOf(events)
  t.match(paused, { state: 'failed', reason: /^the stick is full: it is paused/ })
  t.ok((paused?.seconds ?? 600) < 10)
})

t.test(
  'a guest that is slow, or that somebody paused, is waited for on a stick with little space',
  async (t) => {
    const web = guest('web', { autostart: 5, ready: { kind: 'log', pattern: '^never$' } })
    const answer: Answer = (line) => {
      if (line.startsWith('df ')) return ` Avail\n${100 * 2 ** 20}\n`
      return line.includes('domstate web') ? 'paused (user)\n' : undefined
    }
    const events = told(stick([web], answer))
    t.notOk(events.some(({ event }) => event === 'problem'))
    t.equal(guestsOf(events)[0]?.reason, 'it gave no sign within 600 s')
  },
)

t.test('a libvirt that hangs is said to', async (t) => {
  const answer: Answer = (line) => (line.includes('start counter') ? { code: 124 } : undefined)
  t.equal(guestsOf(told(stick([counter], answer)))[0]?.reason, 'virsh did not end within 120 s')
})

t.test('an overlay of another base is never started', async (t) => {
  const answer: Answer = (line) =>
    line.startsWith('qemu-img info') ? '{"backing-filename": "/run/keyvisor/library/other.qcow2"}' : undefined
  const machine = stick([counter], answer, { '/data/guests/counter/disk.qcow2': '' })
  const [event] = guestsOf(told(machine))
  t.equal(event?.state, 'failed')
  t.equal(
    event?.reason,
    `its overlay /data/guests/counter/disk.qcow2 belongs to /run/keyvisor/library/other.qcow2, not to /run/keyvisor/library/${BASE_FILE.file}`,
  )
  t.notMatch(machine.ran.join('\n'), /virsh.*(start|define) .*counter|qemu-img create/)
})

t.test('an overlay of its own base is used as it is', async (t) => {
  const answer: Answer = (line) =>
    line.startsWith('qemu-img info')
      ? `{"backing-filename": "/run/keyvisor/library/${BASE_FILE.file}"}`
      : undefined
  const machine = stick([counter], answer, { '/data/guests/counter/disk.qcow2': '' })
  t.equal(guestsOf(told(machine))[0]?.state, 'ready')
  t.notMatch(machine.ran.join('\n'), /create .*\/disk\.qcow2/)
  t.match(machine.ran.join('\n'), /create .*disk-1\.qcow2\.new/, 'a disk that is missing is made')
})

const several = guest('counter', {
  drives: [DISK, { kind: 'cdrom', base: ISO_FILE }, { ...DISK, serial: 'BOOKS' } as typeof DISK],
})

t.test('each disk with a base is an overlay of its own, and a CD is nothing on data', async (t) => {
  const machine = stick([several])
  t.equal(guestsOf(told(machine))[0]?.state, 'started')
  const made = machine.ran.filter((line) => line.startsWith('qemu-img create'))
  t.strictSame(
    made.map((line) => /-b (\S+) .* (\S+) \d+$/.exec(line)?.slice(1)),
    ['disk', 'disk-1'].map((name) => [
      `/run/keyvisor/library/${BASE_FILE.file}`,
      `/data/guests/counter/${name}.qcow2.new`,
    ]),
  )
})

t.test('a disk that should be empty, and has a base, is never started', async (t) => {
  const answer: Answer = (line) => {
    if (!line.startsWith('qemu-img info')) return undefined
    return `{"backing-filename": "/run/keyvisor/library/${BASE_FILE.file}"}`
  }
  const disks = { '/data/guests/counter/disk.qcow2': '', '/data/guests/counter/disk-1.qcow2': '' }
  const [event] = guestsOf(told(stick([counter], answer, disks)))
  t.match(event, { state: 'failed', reason: /disk-1\.qcow2 belongs to .*, not to no base image$/ })
})

t.test('an ISO that the library does not hold', async (t) => {
  const machine = stick([several])
  machine.files.delete(`/run/keyvisor/library/${ISO_FILE.file}`)
  t.match(guestsOf(told(machine))[0], {
    state: 'failed',
    reason: `the library does not hold its base image ${ISO_FILE.sha256}`,
  })
})

t.test('a base that the library does not hold', async (t) => {
  const machine = stick([counter])
  machine.files.delete(`/run/keyvisor/library/${BASE_FILE.file}`)
  const [event] = guestsOf(told(machine))
  t.match(event, {
    state: 'failed',
    reason: `the library does not hold its base image ${BASE_FILE.sha256}`,
  })
})

t.test('a domain that is there is adapted, and defined again only when that changes it', async (t) => {
  const sized = { name: 'b', start: true, reason: '', memory: 2 ** 30, cpus: 2, accelerator: 'kvm' } as const
  const b = guest('b')
  const same = stick([b], (line) => (line.includes('dumpxml') ? HYPERVISOR.domainXml(b, sized) : undefined))
  t.equal(guestsOf(told(same))[0]?.state, 'started')
  t.notMatch(same.ran.join('\n'), / define /)
  const smaller = HYPERVISOR.domainXml(b, { ...sized, memory: 2 ** 29 }).replace(
    '<boot order',
    '<!-- mine --><boot order',
  )
  const changed = stick([b], (line) => (line.includes('dumpxml') ? smaller : undefined))
  t.equal(guestsOf(told(changed))[0]?.state, 'started')
  t.match(changed.files.get('/data/guests/b/definition/wanted.xml'), "<memory unit='KiB'>1048576</memory>")
  t.match(changed.files.get('/data/guests/b/definition/wanted.xml'), '<!-- mine -->')
})

t.test('a libvirt that does not answer replaces no domain', async (t) => {
  const answer: Answer = (line) =>
    line.includes('dumpxml') ? { code: 1, stderr: 'error: failed to connect to the hypervisor' } : undefined
  const machine = stick([counter], answer)
  t.match(guestsOf(told(machine))[0], {
    state: 'failed',
    reason: 'libvirt does not answer: error: failed to connect to the hypervisor',
  })
  t.notMatch(machine.ran.join('\n'), / define /)
})

t.test('a guest without autostart is defined, not started', async (t) => {
  const machine = stick([guest('b', { autostart: null })])
  t.match(guestsOf(told(machine))[0], { state: 'skipped', reason: 'autostart is off in the profile' })
  t.match(machine.ran.join('\n'), ' define /data/guests/b/definition/wanted.xml')
  t.notMatch(machine.ran.join('\n'), ' start b')
})

t.test('folders are made before the guest that shares them starts', async (t) => {
  const machine = stick([bench])
  t.equal(guestsOf(told(machine))[0]?.state, 'started')
  const made = at(machine, 'mkdir -p /data/shares/exchange /data/shares/bench-only')
  t.ok(made < at(machine, 'start bench'))
  t.notMatch(machineOf(counter).ran.join('\n'), '/data/shares')
})

function machineOf(one: LibraryGuest): Fake {
  const machine = stick([one])
  boot(machine)
  return machine
}

t.test('a guest that runs already is not touched', async (t) => {
  const machine = stick([guest('b')], undefined, { '/run/libvirt/qemu/b.pid': '1' })
  t.equal(guestsOf(told(machine))[0]?.state, 'started')
  t.notMatch(machine.ran.join('\n'), /virsh.* (define|start) /)
})

t.test('each kind of sign', async (t) => {
  const console_ = 'keyvisor: start number 1\nHypervisor detected: KVM\nhost login: \n'
  const files = { '/var/log/keyvisor/old.console.log': console_ }
  const [log] = guestsOf(told(stick([old], undefined, files)))
  t.match(log, { state: 'ready', said: 'start number 1', hypervisor: 'KVM' })

  const tcp = stick([counter])
  told(tcp)
  t.ok(tcp.ran.some((line) => line.endsWith('/dev/tcp/$0/$1" 172.29.86.20 80')))

  let asked = 0
  const agent = stick([guest('b', { ready: { kind: 'agent' } })], (line) =>
    line.includes('guest-ping') && ++asked < 4 ? { code: 1 } : undefined,
  )
  t.match(guestsOf(told(agent))[0], { state: 'ready', seconds: 3 })
})

t.test('a guest whose agent has not opened its channel is not pinged', async (t) => {
  const status = '/run/libvirt/qemu/b.xml'
  const target = (state: string) => `<target type='virtio' name='org.qemu.guest_agent.0' state='${state}'/>`
  let opens = 0
  const machine = stick([guest('b', { ready: { kind: 'agent' } })], (line, machine) => {
    if (line.includes('guest-ping') && !machine.files.get(status)?.includes("'connected'")) return { code: 1 }
    return undefined
  })
  machine.files.set(status, target('disconnected'))
  const sleep = machine.sleep
  machine.sleep = (milliseconds) => {
    if (++opens === 5) machine.files.set(status, target('connected'))
    sleep(milliseconds)
  }
  t.match(guestsOf(told(machine))[0], { state: 'ready' })
  t.equal(machine.ran.filter((line) => line.includes('guest-ping')).length, 1)
})

t.test('a guest that gives no sign fails in time; under emulation it has longer', async (t) => {
  const never: Answer = (line) => (line.startsWith('timeout 3') ? { code: 1 } : undefined)
  const [kvm] = guestsOf(told(stick([counter], never)))
  t.match(kvm, { state: 'failed', reason: 'it gave no sign within 600 s', seconds: 601 })
  const emulated = stick([counter], never)
  emulated.files.delete('/dev/kvm')
  t.match(guestsOf(told(emulated))[0], { reason: 'it gave no sign within 900 s', accelerator: 'tcg' })
})

t.test('a guest that ends before its sign fails at once', async (t) => {
  const answer: Answer = (line, machine) => {
    if (!line.startsWith('timeout 3')) return undefined
    machine.files.delete('/run/libvirt/qemu/counter.pid')
    return { code: 1 }
  }
  t.match(guestsOf(told(stick([counter], answer)))[0], { reason: 'it ended before it was ready', seconds: 0 })
})

t.test('a guest that crashed says so, and nothing of what an earlier start said', async (t) => {
  const answer: Answer = (line, machine) => {
    if (line.includes(' domstate counter --reason')) return 'shut off (crashed)\n\n'
    if (!line.startsWith('timeout 3')) return undefined
    machine.files.delete('/run/libvirt/qemu/counter.pid')
    return { code: 1 }
  }
  const machine = stick([counter], answer)
  const log = (...lines: string[]) =>
    machine.files.set('/var/log/libvirt/qemu/counter.log', lines.map((line) => `${line}\n`).join(''))
  const began = '2026-11-27 18:00:00.000+0000: starting up libvirt version: 11.3.0, qemu version: 10.0.2'
  log('2026-11-26T09:00:00.000000Z qemu-system-x86_64: of another start', began, '-msg timestamp=on')
  t.equal(guestsOf(told(machine))[0]?.reason, 'it ended before it was ready: shut off (crashed)')
})

t.test('what its QEMU complained of last is told too', async (t) => {
  const answer: Answer = (line, machine) => {
    if (!line.startsWith('timeout 3')) return undefined
    machine.files.delete('/run/libvirt/qemu/counter.pid')
    return { code: 1 }
  }
  const machine = stick([counter], answer)
  const lines = ['x: starting up libvirt', '9Z qemu-system-x86_64: no \u001b[1mmemory', 'x: shutting down']
  machine.files.set('/var/log/libvirt/qemu/counter.log', lines.map((line) => `${line}\n`).join(''))
  t.equal(
    guestsOf(told(machine))[0]?.reason,
    'it ended before it was ready: 9Z qemu-system-x86_64: no memory',
  )
})

t.test('a library that cannot be read is a problem, and the boot is done', async (t) => {
  for (const text of [undefined, '{"version":']) {
    const machine = stick([counter])
    if (text === undefined) machine.files.delete('/run/keyvisor/library/guests.json')
    else machine.files.set('/run/keyvisor/library/guests.json', text)
    const events = told(machine)
    t.strictSame(
      events.map((event) => event.event),
      ['host', 'problem', 'done'],
    )
    t.match(events[1], { code: 'library' })
  }
})

t.test('a library of another version', async (t) => {
  const machine = stick([counter])
  machine.files.set('/run/keyvisor/library/guests.json', '{"version": 1, "guests": [{"name": "web"}]}')
  const events = told(machine)
  t.match(events[1], { code: 'library', message: /it is of version 1, and this host reads version 2$/ })
  t.match(events.at(-1), { event: 'done', guests: { failed: 0 } })
})

t.test('firewall and network that fail are problems, and guests start all the same', async (t) => {
  const answer: Answer = (line) =>
    line.startsWith('nft') || line.includes('net-create') ? { code: 1, stderr: 'no such thing' } : undefined
  const events = told(stick([counter], answer))
  const problems = events.filter((event) => event.event === 'problem')
  t.strictSame(
    problems.map((event) => event.code),
    ['firewall', 'network'],
  )
  t.equal(guestsOf(events)[0]?.state, 'ready')
})

t.test('damage that verity finds is told once, when it is found', async (t) => {
  let started = false
  const answer: Answer = (line) => {
    if (line.includes('start counter')) started = true
    if (!line.startsWith('dmsetup')) return undefined
    return `keyvisor-library: 0 9000 verity ${started ? 'C' : 'V'}\n`
  }
  const events = told(stick([counter, guest('b', { autostart: 20 })], answer))
  t.strictSame(
    events.map((event) => event.event),
    ['host', 'guest', 'problem', 'guest', 'network', 'done'],
  )
  t.match(events[2], { code: 'verity', message: /keyvisor-library/ })
})

const route = (...routes: [dst: string, dev: string][]) =>
  JSON.stringify(routes.map(([dst, dev]) => ({ dst, dev })))

t.test('the guests give way to a PC whose network has their subnet', async (t) => {
  const taken = route(['default', 'eth0'], ['172.29.0.0/16', 'eth0'])
  const machine = stick([counter], (line) => (line === 'ip -j -4 route' ? taken : undefined))
  const network = told(machine).find(({ event }) => event === 'network')
  t.match(network, { subnet: '172.30.86.1/24' })
  t.match(machine.files.get('/run/keyvisor/network.xml'), "<ip address='172.30.86.1' prefix='24'>")
  t.match(machine.files.get('/run/keyvisor/network.xml'), "ip='172.30.86.20'")
  t.match(machine.files.get('/run/keyvisor/rules.nft'), 'dnat ip to 172.30.86.20:80')
  t.ok(machine.ran.some((line) => line.endsWith('/dev/tcp/$0/$1" 172.30.86.20 80')))
  t.test('and stay where they are when the unit is started again', async (t) => {
    const again = stick([counter], () => undefined, Object.fromEntries(machine.files))
    t.match(told(again).at(-2), { subnet: '172.30.86.1/24' })
  })
})

/** One wired card, with a cable. */
const CARD = {
  '/proc/net/dev': '  eth0: 0\n',
  '/sys/class/net/eth0/device': '',
  '/sys/class/net/eth0/carrier': '1\n',
}

t.test('a card with a cable is waited for, and no longer than its patience', async (t) => {
  let asked = 0
  const late: Answer = (line) => {
    if (line !== 'ip -j -4 route') return undefined
    return ++asked < 5 ? '[]' : route(['172.29.86.0/24', 'eth0'])
  }
  const machine = stick([guest('b')], late, CARD)
  t.match(told(machine).at(-2), { subnet: '172.30.86.1/24' })
  const never = stick([guest('b')], undefined, CARD)
  t.match(told(never).at(-2), { subnet: '172.29.86.1/24' })
  t.equal(never.now(), 10_000)
  // As qjs reads what answers EINVAL.
  const notYetUp = stick([guest('b')], undefined, { ...CARD, '/sys/class/net/eth0/carrier': '' })
  told(notYetUp)
  t.equal(notYetUp.now(), 10_000, 'a wired card that is down will be up')
})

t.test('a bridge is waited for when a wired card in it has a cable', async (t) => {
  const bridged = {
    ...CARD,
    '/etc/systemd/network/10-bridge.netdev': '[NetDev]\nName=br0\nKind=bridge\n',
  }
  let asked = 0
  const late: Answer = (line) => {
    if (line !== 'ip -j -4 route') return undefined
    return ++asked < 5 ? '[]' : route(['172.29.86.0/24', 'br0'])
  }
  const machine = stick([guest('b')], late, bridged)
  t.match(told(machine).at(-2), { subnet: '172.30.86.1/24' })
  const unplugged = stick([guest('b')], undefined, { ...bridged, '/sys/class/net/eth0/carrier': '0\n' })
  told(unplugged)
  t.equal(unplugged.now(), 5000)
})

t.test('a cable takes some seconds to show', async (t) => {
  const unplugged = { ...CARD, '/sys/class/net/eth0/carrier': '0\n' }
  const address: Answer = (line, { now }) => {
    if (line !== 'ip -j -4 route') return undefined
    return now() < 9000 ? '[]' : route(['172.29.86.0/24', 'eth0'])
  }
  const gigabit = stick([guest('b')], address, unplugged)
  when(gigabit, 4500, () => gigabit.files.set('/sys/class/net/eth0/carrier', '1\n'))
  t.match(told(gigabit).at(-2), { subnet: '172.30.86.1/24' }, 'and then a server is asked')
  t.equal(gigabit.now(), 9000)
  const never = stick([guest('b')], undefined, unplugged)
  told(never)
  t.equal(never.now(), 5000, 'which one that is not there does not')
  const shaky = stick([guest('b')], undefined, unplugged)
  for (let second = 1; second < 60; second++)
    when(shaky, second * 1000, () => shaky.files.set('/sys/class/net/eth0/carrier', `${second % 2}\n`))
  told(shaky)
  t.ok(shaky.now() <= 15_000, `one that comes and goes holds nothing up: ${shaky.now()} ms`)
  const other = { ...CARD, '/proc/net/dev': '  eth0: 0\n  eth1: 0\n', '/sys/class/net/eth1/device': '' }
  const second = stick([guest('b')], address, { ...other, '/sys/class/net/eth1/carrier': '0\n' })
  told(second)
  t.equal(second.now(), 9000, 'nor is a second one waited for')
  const wifi = { '/proc/net/dev': '  wlan0: 0\n', '/sys/class/net/wlan0/device': '' }
  const unused = stick([guest('b')], undefined, { ...wifi, '/sys/class/net/wlan0/carrier': '' })
  told(unused)
  t.equal(unused.now(), 0, 'nor a radio that is down')
})

/** Does something when so many milliseconds have gone by. */
function when(machine: Fake, moment: number, action: () => void): void {
  const { sleep } = machine
  machine.sleep = (milliseconds) => {
    sleep(milliseconds)
    if (machine.now() === moment) action()
  }
}

t.test('a card whose driver is not loaded yet is waited for', (t) => {
  const busy = { '/run/udev/queue': '' }
  const address: Answer = (line, { now }) => {
    if (line !== 'ip -j -4 route') return undefined
    return now() < 38_000 ? '[]' : route(['172.29.86.0/24', 'eth0'])
  }
  const slow = stick([guest('b')], address, busy)
  when(slow, 30_000, () => {
    slow.files.delete('/run/udev/queue')
    for (const [path, text] of Object.entries(CARD)) slow.files.set(path, text)
  })
  t.match(told(slow).at(-2), { subnet: '172.30.86.1/24' }, 'and the server that it asks then')
  t.equal(slow.now(), 38_000)
  const never = stick([guest('b')], undefined, busy)
  told(never)
  t.equal(never.now(), 69_500, 'udev has its patience too')
  const none = stick([guest('b')])
  told(none)
  t.equal(none.now(), 0, 'and where udev is idle, there is none')
  t.end()
})

t.test('where there is no subnet left, that is a problem, and guests start all the same', async (t) => {
  const all = route(['172.16.0.0/12', 'a'], ['10.0.0.0/8', 'a'], ['192.168.0.0/16', 'a'])
  const events = told(stick([guest('b')], (line) => (line === 'ip -j -4 route' ? all : undefined)))
  t.match(events[1], { event: 'problem', code: 'network', message: /every subnet/ })
  t.equal(guestsOf(events)[0]?.state, 'started')
})

t.test('what listens, and the addresses of the PC', async (t) => {
  const answer: Answer = (line) => {
    if (line.startsWith('ss ')) {
      return 'udp UNCONN 0 0 127.0.0.53%lo:53 0.0.0.0:*\ntcp LISTEN 0 128 [::]:22 [::]:*\n'
    }
    if (line !== 'ip -j address') return undefined
    return JSON.stringify([
      { ifname: 'lo', addr_info: [{ local: '127.0.0.1', prefixlen: 8, scope: 'host' }] },
      {
        ifname: 'eth0',
        addr_info: [
          { local: '192.0.2.7', prefixlen: 24, scope: 'global' },
          { local: 'fe80::1', prefixlen: 64, scope: 'link' },
        ],
      },
      { ifname: 'keyvisor0', addr_info: [{ local: '172.29.86.1', prefixlen: 24, scope: 'global' }] },
    ])
  }
  const files = { '/proc/net/dev': 'eth0: 0\n', '/sys/class/net/eth0/device': '' }
  t.match(told(stick([], answer, files)).at(-2), {
    event: 'network',
    addresses: ['eth0 192.0.2.7/24'],
    listens: [
      { protocol: 'udp', address: '127.0.0.53%lo', port: 53 },
      { protocol: 'tcp', address: '[::]', port: 22 },
    ],
  })
})

t.test("what holds a guest's QEMU", async (t) => {
  const files = {
    '/etc/passwd': 'root:x:0:0::/root:/bin/sh\nlibvirt-qemu:x:64055:994::/:/bin/false\n',
    '/proc/1/status': 'Name:\tqemu\nUid:\t64055\t64055\t64055\t64055\nSeccomp:\t2\nSeccomp_filters:\t1\n',
    '/proc/1/attr/current': 'libvirt-0a0a (enforce)\n\0',
  }
  const held = (changed: Record<string, string>) =>
    guestsOf(told(stick([guest('b')], undefined, { ...files, ...changed })))[0]?.confinement
  t.strictSame(held({}), { user: 'libvirt-qemu', apparmor: 'libvirt-0a0a (enforce)', seccomp: true })
  t.strictSame(
    held({ '/proc/1/status': 'Uid:\t0\t0\t0\t0\nSeccomp:\t0\n', '/proc/1/attr/current': 'unconfined\n' }),
    {
      user: 'root',
      apparmor: 'unconfined',
      seccomp: false,
    },
  )
  const skipped = guestsOf(told(stick([guest('b', { autostart: null })], undefined, files)))[0]
  t.equal(skipped?.confinement, null)
})
