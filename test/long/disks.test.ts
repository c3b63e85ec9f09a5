/**
 * Which disk am I: a stick uses the disk that it was started from and no other, whatever else is in the PC.
 */
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { sha256File } from '../../src/base/digests.js'
import { systemTools } from '../../src/base/tool.js'
import { GiB, SECTOR } from '../../src/base/units.js'
import { type Trial, type TrialOptions, withTrial } from '../../src/lab/trial.js'
import { inspectImage } from '../../src/media/inspect.js'
import type { PcDisk } from '../../src/pc/virtual-pc.js'
import {
  copyImage,
  isEvent,
  onStick,
  openStick,
  SHUTDOWN,
  serialText,
  waitFor,
  waitForWords,
} from '../support/demo.js'
import { needTools, skipAloud } from '../support/tools.js'

interface Identity {
  machineId: string
  hostKey: string
  diskGuid: string
}

const demo = await openStick(t, 'profiles/minimal.yaml')

/** Starts a stick, waits until it is done, and asks it. The plug is not pulled: it switches itself off. */
async function visit(options: TrialOptions, ask: (trial: Trial) => Promise<string>): Promise<string> {
  if (!demo) throw new Error('BUG: there is no image')
  return withTrial(demo.image, { accelerator: 'tcg', ssh: true, ...options }, demo.place, async (trial) => {
    if (!(await waitFor(trial, 300, isEvent('done')))) throw new Error((await serialText(trial)).slice(-2000))
    const answer = await ask(trial)
    if ((await trial.shutDown(SHUTDOWN)) !== 'off') throw new Error('it did not switch itself off')
    return answer
  })
}

async function identity(options: TrialOptions): Promise<Identity> {
  const asked = await visit(options, (trial) =>
    onStick(
      trial,
      `cat /etc/machine-id; ssh-keyscan -q -t ed25519 127.0.0.1 | cut -d' ' -f3
       . /run/keyvisor/stick; sudo sfdisk --disk-id /dev/$disk`,
    ),
  )
  const [machineId = '', hostKey = '', diskGuid = ''] = asked.split('\n')
  return { machineId, hostKey, diskGuid }
}

/** What a stick that is off says of its last start; mtools read it. */
async function lastBoot(stick: string, folder: string): Promise<string> {
  const raw = join(folder, 'off.raw')
  await systemTools.run({ tool: 'qemu-img', args: ['convert', '-f', 'qcow2', '-O', 'raw', stick, raw] })
  const { partitions } = await inspectImage(raw)
  const first = partitions.find(({ name }) => name === 'settings')?.first ?? 0
  const args = ['-i', `${raw}@@${first * SECTOR}`, '::last-boot.txt']
  const { stdout } = await systemTools.run({ tool: 'mtype', args })
  await rm(raw)
  return stdout
}

async function digestOf(path: string): Promise<string> {
  return (await sha256File(path)).sha256
}

/** Partitions of an internal disk that some system might want to use: each is made by the tool that usually makes it. */
async function foreignDisk(folder: string): Promise<string> {
  const disk = join(folder, 'internal.raw')
  const table = join(folder, 'table')
  const linux = '0FC63DAF-8483-4772-8E79-3D69D8477DE4'
  const swap = '0657FD6D-A4AB-43C4-84E5-0933C84B4F4F'
  const luks = 'CA7D7CCB-63ED-4C53-861C-1742536059CC'
  const microsoft = 'EBD0A0A2-B9E5-4433-87C0-68B6B72699C7'
  const types = [linux, swap, luks, microsoft]
  await writeFile(table, `label: gpt\n${types.map((type) => `size=128M, type=${type}`).join('\n')}\n`)
  const script = `
    truncate -s 1G "$1" && sfdisk --quiet "$1" < "$2"
    mke2fs -q -F -t ext4 -E offset=$((1 << 20)) "$1" 128M 2>/dev/null
    truncate -s 128M "$1.part"
    mkswap "$1.part" > /dev/null && dd if="$1.part" of="$1" bs=1M seek=129 conv=notrunc,sparse status=none
    truncate -s 0 "$1.part"; truncate -s 128M "$1.part"
    printf secret | cryptsetup luksFormat -q --pbkdf pbkdf2 --pbkdf-force-iterations 1000 "$1.part" -
    dd if="$1.part" of="$1" bs=1M seek=257 conv=notrunc,sparse status=none
    truncate -s 0 "$1.part"; truncate -s 128M "$1.part"
    mkfs.fat -F 32 "$1.part" > /dev/null && dd if="$1.part" of="$1" bs=1M seek=385 conv=notrunc,sparse status=none
    rm "$1.part"`
  await systemTools.run({ tool: 'bash', args: ['-eu', '-c', script, '-', disk, table] })
  return disk
}

/** A disk that is one physical volume with a volume group. Undefined where loop devices are not for us. */
async function volumeGroup(folder: string): Promise<string | undefined> {
  const disk = join(folder, 'lvm.raw')
  const script = `
    truncate -s 256M "$1"
    loop=$(losetup --find --show "$1")
    trap 'losetup --detach "$loop"' EXIT
    vgcreate --quiet "keyvisor-test-$$" "$loop"`
  const made = systemTools.run({ tool: 'bash', args: ['-eu', '-c', script, '-', disk] })
  return made.then(() => disk).catch(() => undefined)
}

const disk = (path: string, format: PcDisk['format'], bus: PcDisk['bus'], before: boolean): PcDisk => ({
  path,
  format,
  bus,
  before,
})

if (
  demo &&
  needTools(
    t,
    'qemu-img',
    'qemu-io',
    'sfdisk',
    'mke2fs',
    'mkswap',
    'cryptsetup',
    'mkfs.fat',
    'mtype',
    'losetup',
    'vgcreate',
  )
) {
  const folder = t.testdir()
  const [one, two] = [join(folder, 'one.qcow2'), join(folder, 'two.qcow2')]
  let first: Identity | undefined

  await t.test('two sticks of one image share no identity', async (t) => {
    first = await identity({ keep: one })
    const second = await identity({ keep: two })
    for (const name of ['machineId', 'hostKey', 'diskGuid'] as const) {
      t.ok(first[name].length > 30, `${name}: ${first[name]}`)
      t.not(second[name], first[name], name)
    }
    const said = await lastBoot(two, folder)
    t.match(said, /^Keyvisor \S+: the last start of minimal\r$/m)
    t.match(said, /^Shut down +\d{4}-\d\d-\d\d \d\d:\d\d \S+, every guest first\r$/m)
  })

  for (const before of [true, false]) {
    await t.test(`two sticks in one PC, the other one ${before ? 'first' : 'second'}`, async (t) => {
      const digest = await digestOf(two)
      t.strictSame(await identity({ keep: one, disks: [disk(two, 'qcow2', 'usb', before)] }), first)
      t.equal(await digestOf(two), digest, 'the other stick is as it was')
    })
  }

  await t.test('a PC with disks of its own, a copy of the image among them', async (t) => {
    const copy = join(folder, 'copy.raw')
    await copyImage(demo.image, copy)
    const group = await volumeGroup(folder)
    const paths = [copy, await foreignDisk(folder), ...(group ? [group] : [])]
    if (!group && process.env['CI'] === 'true')
      t.fail('no volume group could be made: loop devices need root')
    if (!group) skipAloud(t, 'a volume group: loop devices need root')
    const digests = await Promise.all(paths.map(digestOf))
    const disks = paths.map((path) => disk(path, 'raw', 'sata', true))
    const seen = await visit({ keep: one, disks, memory: 2 * GiB }, (trial) =>
      onStick(
        trial,
        `cat /etc/machine-id; lsblk -nro NAME,TYPE,MOUNTPOINTS; cat /proc/swaps | wc -l; sudo dmsetup ls
         ls /sys/class/block | grep -c '^sd[a-z]$'`,
      ),
    )
    const lines = seen.split('\n')
    t.equal(lines[0], first?.machineId)
    t.equal(lines.at(-1), String(paths.length + 1), 'the host saw them all')
    const stickDisk = lines.find((line) => /part .*\/data/.test(line))?.slice(0, 3)
    t.match(stickDisk, /^sd[a-z]$/)
    const foreign = lines.filter((line) => /^sd/.test(line) && !line.startsWith(stickDisk ?? '?'))
    t.ok(foreign.length > paths.length)
    t.strictSame(
      foreign.filter((line) => line.split(' ').length > 2 && line.split(' ')[2] !== ''),
      [],
      'none of them is mounted',
    )
    t.notMatch(seen, /keyvisor-test|luks/i, 'nothing of them is opened')
    t.strictSame(await Promise.all(paths.map(digestOf)), digests, 'every disk is as it was')
  })

  await t.test('two sticks that were never started: a message, no boot', async (t) => {
    const copy = join(folder, 'never.raw')
    await copyImage(demo.image, copy)
    const digest = await digestOf(copy)
    const options: TrialOptions = { accelerator: 'tcg', disks: [disk(copy, 'raw', 'usb', false)] }
    await withTrial(demo.image, options, demo.place, async (trial) => {
      const problem = await waitFor(trial, 300, isEvent('problem'))
      t.match(problem, { code: 'two-sticks', message: /remove one/ })
      t.ok(await waitForWords(trial, 60, /remove one, and start again/), 'it is said on the console')
      t.notOk(await waitFor(trial, 30, isEvent('host')), 'the host does not start')
    })
    t.equal(await digestOf(copy), digest)
  })

  await t.test('a data partition that does not mount is reported, and left as it is', async (t) => {
    const [broken, before] = [join(folder, 'broken.qcow2'), join(folder, 'before.qcow2')]
    await copyImage(one, broken)
    await copyImage(`${one}.image`, `${broken}.image`)
    const { layout } = await inspectImage(demo.image)
    const library = layout.partitions.find(({ name }) => name === 'library')
    const start = ((library?.last ?? 0) + 1) * SECTOR
    // The superblock, and the copy of it that e2fsck would mend it from.
    await systemTools.run({
      tool: 'qemu-io',
      args: ['-f', 'qcow2', '-c', `write -z ${start} 160M`, broken],
    })
    await copyImage(broken, before)
    await withTrial(demo.image, { accelerator: 'tcg', keep: broken }, demo.place, async (trial) => {
      const problem = await waitFor(trial, 300, isEvent('problem'))
      t.match(problem, { code: 'data', message: /does not mount; nothing on it was changed/ })
      t.ok(await waitFor(trial, 300, isEvent('done')), 'the host is up all the same')
      t.equal(await trial.shutDown(SHUTDOWN), 'off')
    })
    const settings = layout.partitions.find(({ name }) => name === 'settings')
    if (!settings) throw new Error('BUG: there is no partition settings')
    // That one says what became of this start.
    const rest = [{ offset: 0, size: settings.first * SECTOR }, { offset: (settings.last + 1) * SECTOR }]
    for (const part of rest) {
      const args = ['compare', partOf(before, part), partOf(broken, part)]
      const { stdout } = await systemTools.run({ tool: 'qemu-img', args })
      t.match(stdout, /Images are identical/, `from byte ${part.offset} on`)
    }
  })

  await t.test("the PC's clock is not set, wrong as it may be", async (t) => {
    const options = { keep: two, clock: '2001-02-03T04:05:06' }
    const seen = await visit(options, async (trial) => {
      const year = await onStick(trial, 'date +%Y')
      return `${year} ${(await trial.monitor('qom-get /machine rtc-time')).replace(/\s+/g, '')}`
    })
    const [year, clock] = seen.split(' ')
    t.ok(Number(year) >= 2025, 'the host itself knows better than that')
    t.match(clock, /"tm_year":101\b/, 'the clock counts years from 1900')
  })
}

/** Bytes of a stick, as qemu-img takes them (qemu-img(1), "json:"). */
function partOf(stick: string, part: { offset: number; size?: number }): string {
  const file = { driver: 'qcow2', file: { driver: 'file', filename: stick } }
  return `json:${JSON.stringify({ driver: 'raw', ...part, file })}`
}
