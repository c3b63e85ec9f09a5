import t from 'tap'
import { GiB, MiB } from '../../src/base/units.js'
import type { Lock } from '../../src/lock/types.js'
import { plannedBases } from '../../src/plan/bases.js'
import { packageRequests } from '../../src/plan/packages.js'
import { makePlan, type ProfileFiles } from '../../src/plan/plan.js'
import type { GuestPlan } from '../../src/plan/types.js'
import type { Guest, Profile } from '../../src/yaml/profile.gen.js'
import { goldenJson } from '../support/golden.js'

const IMAGE = 'ef'.repeat(32)
const lock: Lock = {
  version: 2,
  epoch: 1_750_000_000,
  requests: '',
  asked: [],
  packages: {},
  sources: { trixie: ['deb http://archive.example/debian trixie main'] },
  sets: {},
  files: {
    'guest.box/disk0': { sha256: IMAGE, size: 300 * MiB },
    'guest.box/disk1': { sha256: '34'.repeat(32), size: 40 * MiB },
    'guest.box/iso0': { sha256: '56'.repeat(32), size: 4 * MiB },
  },
}
const files: ProfileFiles = {
  folder: '/profiles',
  sshKeyFiles: { 'ada.pub': '# mine\n\nssh-ed25519 AAAA ada\nssh-ed25519 BBBB ada@work\n' },
  virtualSizes: { 'guest.box/disk0': 3 * GiB, 'guest.box/disk1': GiB },
}
const minimal: Profile = { version: 1, name: 'demo' }
const debian: Guest = { name: 'a', source: { debian: {} } }
const box: Guest = { name: 'box', source: { image: 'images/box.qcow2', format: 'qcow2' } }

const DRIVES: NonNullable<Guest['disks']> = [
  { iso: 'tools.iso' },
  { image: '/images/data.raw', format: 'raw', size: '4GiB', serial: 'BOOKS' },
  { size: '1GiB' },
]

/** The plan of one guest. */
function planned(guest: Guest): GuestPlan {
  return makePlan({ ...minimal, guests: [guest] }, lock, files).guests[0] as GuestPlan
}

t.test('a minimal profile gets every default', async (t) => {
  const plan = makePlan(minimal, lock, files)
  t.strictSame(plan.stick, {
    architecture: 'amd64',
    firmware: ['bios', 'uefi', 'secureboot'],
    minimumSize: 4 * GiB,
    alignment: MiB,
    biosBoot: MiB,
    esp: 128 * MiB,
    secondEsp: 128 * MiB,
    settings: 64 * MiB,
    rootSlot: 384 * MiB,
    library: { headroomPercent: 25 },
    dataMinimum: 512 * MiB,
  })
  t.equal(plan.epoch, 1_750_000_000)
  t.equal(plan.host.hostname, 'demo')
  t.strictSame(plan.host.admin, { name: 'admin', sshKeys: [], password: false })
  t.strictSame(plan.host.uplink, { kind: 'dhcp' })
  t.strictSame(plan.host.wifi, [])
  t.strictSame(plan.host.firmware, ['microcode', 'realtek', 'bnx2', 'bnx2x'])
  t.strictSame(plan.guests, [])
})

t.test('a whole plan is as it was checked', async (t) => {
  const { host, guests, ...plan } = makePlan(fullProfile(), lock, files)
  // Which packages there are is a matter of packages.test.ts.
  const unpacked = guests.map((guest) => ({ ...guest, source: { ...guest.source, packages: [] } }))
  goldenJson(t, 'full.plan.json', { ...plan, host: { ...host, packages: [] }, guests: unpacked })
})

t.test('host and guests get the packages that are asked for', async (t) => {
  const profile = fullProfile()
  const plan = makePlan(profile, lock, files)
  const asked = (set: string) => packageRequests(profile).find((request) => request.set === set)?.packages
  t.strictSame(plan.host.packages, asked('host'))
  t.match(plan.guests[0]?.source, { kind: 'debian', packages: asked('guest.web') })
})

function fullProfile(): Profile {
  return {
    version: 1,
    name: 'full',
    stick: { firmware: ['uefi'], minimumSize: '8GiB', esp: '256MiB', rootSlot: '512MiB', library: '2GiB' },
    host: {
      hostname: 'box.example',
      locale: 'de_DE.UTF-8',
      keyboard: 'de',
      timezone: 'Europe/Berlin',
      admin: {
        name: 'ada',
        sshKeys: ['ssh-ed25519 AAAA ada'],
        sshKeyFiles: ['ada.pub'],
        passwordHash: '$6$s$h',
      },
      firmware: ['microcode', 'intel-wifi'],
      network: {
        uplink: { address: '192.0.2.10/24', gateway: '192.0.2.1' },
        bridge: true,
        wifi: [{ ssid: 'Büro', passphrase: { file: 'office.passphrase' } }],
      },
      packages: ['tcpdump'],
      files: [{ source: 'motd', target: '/etc/motd' }],
    },
    guests: [
      {
        name: 'web',
        source: {
          debian: {
            packages: ['busybox'],
            units: ['web.service'],
            files: [{ source: '/abs/web', target: '/usr/bin/web', mode: '4755', owner: '0:staff' }],
          },
        },
        disk: '4GiB',
        disks: [{ size: '1GiB' }, { size: '2GiB', serial: 'MINE' }],
        cpus: 3,
        memory: '768MiB',
        firmware: 'uefi-secure',
        ports: [{ host: 8080, guest: 80 }],
        autostart: { order: 7 },
        changes: 'discard',
        ready: { tcp: 80 },
        uuid: '0F5A1C9E-7D7B-4C53-8E0C-3A1F4F6F2A10',
        serial: 'OLD-1',
      },
      {
        ...box,
        disks: DRIVES,
        memory: { min: '1GiB', max: '50%' },
        nics: [{ network: 'nat', mac: '02:AA:00:00:00:01' }, { network: 'nat' }, { network: 'bridge' }],
        usb: [{ vendor: '046D', product: 'c52b' }],
        shares: [{ name: 'exchange' }],
        ready: { log: 'login:' },
      },
    ],
  }
}

t.test('the same profile gives the same plan, and stays as it was', async (t) => {
  const profile = fullProfile()
  const plan = makePlan(profile, lock, files)
  t.strictSame(makePlan(profile, lock, files), plan)
  t.strictSame(profile, fullProfile())
  t.notOk(Object.isFrozen(profile.host?.admin?.sshKeys))
  t.notOk(Object.isFrozen(profile.guests?.[0]?.ports))
})

t.test('a plan says that there is a password, and not which', async (t) => {
  const { admin } = makePlan(fullProfile(), lock, files).host
  t.strictSame(admin.password, true)
  t.notMatch(JSON.stringify(admin), '$6$')
  const elsewhere = { admin: { passwordHash: { env: 'ADMIN_HASH' } } }
  t.equal(makePlan({ ...minimal, host: elsewhere }, lock, files).host.admin.password, true)
})

t.test('a plan is frozen to its leaves', async (t) => {
  const plan = makePlan(fullProfile(), lock, files)
  t.throws(() => plan.stick.firmware.push('bios'), TypeError)
  t.throws(() => Object.assign(plan.guests[0]?.nics[0] ?? {}, { mac: '' }), TypeError)
})

t.test('keys come once, without comments and empty lines', async (t) => {
  const { sshKeys } = makePlan(fullProfile(), lock, files).host.admin
  t.strictSame(sshKeys, ['ssh-ed25519 AAAA ada', 'ssh-ed25519 BBBB ada@work'])
})

t.test('the disk has the size of its base, or more', async (t) => {
  t.match(planned(box).drives, [{ kind: 'overlay', base: 'import.box', size: 3 * GiB }])
  t.match(planned({ ...box, disk: '8GiB' }).drives, [{ size: 8 * GiB }])
  t.match(planned(debian).drives, [{ kind: 'overlay', base: 'disk.a', size: 2 * GiB }])
  t.throws(() => planned({ ...box, disk: '1GiB' }), {
    code: 'disk-smaller-than-base',
    message: 'the disk of guest box has 1GiB, its base image has 3GiB',
  })
})

t.test('a machine has a disk in every slot, and validated profiles have no more', async (t) => {
  const disks = (count: number) => Array.from({ length: count }, () => ({ size: '1GiB' }))
  t.equal(planned({ ...debian, disks: disks(12) }).drives.length, 13)
  t.throws(() => planned({ ...debian, disks: disks(13) }), {
    message: /^BUG: guest a has 14 disks and 0 CDs/,
  })
})

t.test('drives: disks and CDs are counted apart, so that a CD more changes no disk', async (t) => {
  const plan = planned({ ...box, disks: DRIVES })
  t.match(plan.drives, [
    { kind: 'overlay', base: 'import.box', size: 3 * GiB },
    { kind: 'cdrom', base: 'import.box.iso0' },
    { kind: 'overlay', base: 'import.box.disk1', size: 4 * GiB, serial: 'BOOKS' },
    { kind: 'empty', size: GiB },
  ])
  t.match(plan.images, {
    'import.box.iso0': { path: '/profiles/tools.iso', format: 'iso', sha256: '56'.repeat(32) },
    'import.box.disk1': { path: '/images/data.raw', format: 'raw', size: 40 * MiB },
  })
  const without = planned({ ...box, disks: DRIVES.slice(1) })
  const disks = ({ drives }: GuestPlan) => drives.filter(({ kind }) => kind !== 'cdrom')
  t.strictSame(disks(without), disks(plan))
  t.strictSame(
    plannedBases({ guests: [plan] }).map(({ stage }) => stage),
    ['import.box', 'import.box.iso0', 'import.box.disk1'],
  )
  const usual = planned({ ...box, disks: [{ image: '/images/data.qcow2' }] })
  t.match(usual.drives[1], { size: GiB, serial: /^KV/ })
  t.match(usual.images['import.box.disk1'], { format: 'qcow2' })
  t.throws(() => planned({ ...box, disks: [{ image: 'data.qcow2', size: '1MiB' }] }), {
    code: 'disk-smaller-than-base',
    message: 'disk1 of guest box has 1MiB, its base image has 1GiB',
  })
})

t.test('start orders: as given, after all others as listed, or none', async (t) => {
  const guests: Guest[] = [
    { ...debian, name: 'first' },
    { ...debian, name: 'second', autostart: { order: 9999 } },
    { ...debian, name: 'third', autostart: false },
    { ...debian, name: 'fourth' },
  ]
  const plan = makePlan({ ...minimal, guests }, lock, files)
  t.strictSame(
    plan.guests.map((guest) => guest.autostart),
    [10_000, 9999, null, 10_003],
  )
})

t.test('cards go to the guest that has them', async (t) => {
  const guests: Guest[] = [
    { ...debian, name: 'a', nics: [{ network: 'nat' }, { network: 'nat', mac: '02:00:00:00:00:01' }] },
    { ...debian, name: 'b', nics: [] },
    { ...debian, name: 'c' },
  ]
  const plan = makePlan({ ...minimal, guests }, lock, files)
  t.strictSame(
    plan.guests.map((guest) => guest.nics.length),
    [2, 0, 1],
  )
  t.equal(plan.guests[0]?.nics[1]?.mac, '02:00:00:00:00:01')
})

t.test('memory is fixed, a range, or a share that has the usual least', async (t) => {
  const memory = (given: NonNullable<Guest['memory']>) => planned({ ...debian, memory: given }).memory
  t.strictSame(memory('1GiB'), { min: GiB, max: GiB })
  t.strictSame(memory({ min: '1GiB', max: '3GiB' }), { min: GiB, max: 3 * GiB })
  t.strictSame(memory({ min: '1GiB', max: '25%' }), { min: GiB, max: { percent: 25 } })
  t.strictSame(memory('50%'), { min: 512 * MiB, max: { percent: 50 } })
  t.strictSame(planned(debian).memory, { min: 512 * MiB, max: GiB })
})

t.test('putting a card on the bridge changes neither its MAC nor the cards beside it', async (t) => {
  const nics = (first: 'nat' | 'bridge') =>
    planned({ ...debian, nics: [{ network: first }, { network: 'nat' }] }).nics
  const [behind, bridged] = [nics('nat'), nics('bridge')]
  t.strictSame(bridged[0], { bridge: 'br0', mac: behind[0]?.mac, address: null })
  t.strictSame(bridged[1], behind[1])
})

t.test('the host has a bridge where it is asked for', async (t) => {
  const bridge = (network: { bridge: boolean }) =>
    makePlan({ ...minimal, host: { network } }, lock, files).host.bridge
  t.equal(makePlan(minimal, lock, files).host.bridge, null)
  t.equal(bridge({ bridge: false }), null)
  t.equal(bridge({ bridge: true }), 'br0')
})

t.test('plan and package requests agree on the kernel of a guest with USB devices', async (t) => {
  const web: Guest = { ...debian, usb: [{ vendor: '046d', product: 'c52b' }] }
  const asked = packageRequests({ ...minimal, guests: [web] }).find((request) => request.set === 'guest.a')
  t.match(planned(web).source, { kind: 'debian', packages: asked?.packages })
})

t.test('an image that the lock does not know is our bug', async (t) => {
  t.throws(() => planned({ ...box, name: 'other' }), /^BUG: the size of guest.other\/disk0 was not read/)
})

t.test('a guest may have the name of what every object has', async (t) => {
  const named: Guest = { ...box, name: 'constructor' }
  const pinned = { 'guest.constructor/disk0': { sha256: IMAGE, size: 300 * MiB } }
  const sizes = { ...files, virtualSizes: { 'guest.constructor/disk0': 3 * GiB } }
  const { guests } = makePlan({ ...minimal, guests: [named] }, { ...lock, files: pinned }, sizes)
  t.match(guests, [{ name: 'constructor', source: { sha256: IMAGE }, drives: [{ size: 3 * GiB }] }])
  // Without a value of its own, and not with what it inherits.
  t.throws(() => makePlan({ ...minimal, guests: [named] }, lock, files), /BUG: /)
})
