import t from 'tap'
import type { Banner } from '../../src/aboard/banner.js'
import { tellBooted, tellStopped } from '../../src/aboard/last-boot.js'
import { GiB } from '../../src/base/units.js'
import { type Fake, fakeMachine } from '../support/fake.js'

const banner: Banner = {
  name: 'demo',
  version: '0.1.0',
  cards: ['eth0'],
  admin: { name: 'me', password: false, key: true },
  host: {
    event: 'host',
    version: 2,
    name: 'demo',
    firmware: 'uefi',
    secureBoot: 'enabled',
    accelerator: 'kvm',
    memory: 16 * GiB,
    cpus: 8,
    architecture: 'amd64',
    slot: 'a',
    slots: { a: null, b: null },
    seconds: 30,
  },
  addresses: ['eth0 192.0.2.7/24'],
  guests: [
    { name: 'web', state: 'ready', reason: '', ports: [{ host: 8080, guest: 80 }] },
    { name: 'back\\slash', state: 'failed', reason: 'it gave no sign', ports: [] },
  ],
  problems: ['verity: x'],
  full: [],
}

const FILES = {
  '/proc/stat': 'cpu 1 2\nbtime 1764000000\n',
  '/run/keyvisor/stick': 'disk=sda\nsettings=sda5\n',
  '/sys/class/dmi/id/sys_vendor': 'ACME\n',
  '/sys/class/dmi/id/product_name': 'Rocket 3\n',
}

const date = (line: string) => {
  if (line.startsWith('date --date=@1764000000')) return '2025-11-24 16:00 UTC\n'
  return line.startsWith('date --date=now') ? '2025-11-24 18:00 UTC\n' : undefined
}
const textOf = (machine: Fake) => machine.files.get('/run/keyvisor/last-boot.txt')

t.test('what a boot did, in words', async (t) => {
  const machine = fakeMachine(FILES, date)
  tellBooted(machine, banner)
  t.equal(
    textOf(machine),
    [
      'Keyvisor 0.1.0: the last start of demo',
      '',
      "Started     2025-11-24 16:00 UTC, by that PC's clock",
      'Model       ACME Rocket 3',
      'This PC     16GiB of memory, 8 CPUs, hardware virtualization',
      'Addresses   eth0 192.0.2.7/24',
      'Guests      web: ready (port 8080)',
      '            back\\slash: failed (it gave no sign)',
      'Problems    verity: x',
      'Shut down   not yet, or its power was cut',
      '',
    ].join('\r\n'),
  )
})

t.test(
  'the file is whole before it has its name, and the partition is mounted no longer than that',
  async (t) => {
    const machine = fakeMachine(FILES, date)
    tellBooted(machine, banner)
    const folder = '/run/keyvisor/settings'
    t.strictSame(
      machine.ran.filter((line) => !line.startsWith('date')),
      [
        `timeout 20 mkdir -p ${folder}`,
        `timeout 20 mount -t vfat -o nosuid,nodev,noexec,noatime,errors=continue /dev/sda5 ${folder}`,
        `timeout 20 rm -f ${folder}/last-boot.txt.new ${folder}/last-boot.txt`,
        `timeout 20 sync ${folder}`,
        `timeout 20 cp /run/keyvisor/last-boot.txt ${folder}/last-boot.txt.new`,
        `timeout 20 sync ${folder}/last-boot.txt.new`,
        `timeout 20 mv -T ${folder}/last-boot.txt.new ${folder}/last-boot.txt`,
        `timeout 20 umount ${folder}`,
      ],
    )
  },
)

t.test('a partition that takes no file is not left mounted', async (t) => {
  const machine = fakeMachine(FILES, (line) =>
    line.includes(' cp ') ? { code: 1, stderr: 'Read-only file system' } : date(line),
  )
  t.throws(
    () => tellBooted(machine, banner),
    /^last-boot\.txt cannot be written to the settings partition: cp failed .*Read-only file system/,
  )
  t.match(machine.ran.at(-1), /umount/)
})

t.test('a stick without the partition', async (t) => {
  const machine = fakeMachine({ ...FILES, '/run/keyvisor/stick': 'disk=sda\nsettings=\n' }, date)
  t.throws(() => tellBooted(machine, banner), /no settings partition/)
  t.notOk(machine.ran.some((line) => line.includes('mount ')))
})

t.test('at the end it says how that went', async (t) => {
  const files = { ...FILES, '/run/keyvisor/status.json': JSON.stringify(banner) }
  const machine = fakeMachine(files, date)
  tellStopped(machine, [])
  t.match(textOf(machine), /^Shut down {3}2025-11-24 18:00 UTC, every guest first\r$/m)
  tellStopped(machine, ['web', 'db'])
  t.match(textOf(machine), /^Shut down {3}2025-11-24 18:00 UTC, while these still ran: web, db\r$/m)
  const early = fakeMachine(FILES, date)
  tellStopped(early, [])
  t.strictSame(early.ran, [], 'a boot that never came so far leaves what an earlier one said')
})
