/**
 * The initrd's partition table: its own functions, on a file in the place of the stick. What is replaced is what asks a
 * kernel: udevadm, blockdev, and /sys.
 */

import { cp, mkdir, open, readFile, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { ARCHITECTURES } from '../../src/arch/architecture.js'
import { packageFile } from '../../src/base/package.js'
import { systemTools } from '../../src/base/tool.js'
import { MiB } from '../../src/base/units.js'
import { encodeGpt, type Gpt, readGpt } from '../../src/disk/gpt.js'
import { decodeMbr, encodeProtectiveMbr } from '../../src/disk/mbr.js'
import { factsText } from '../../src/stick/facts.js'
import { partitionNumber } from '../../src/stick/partitions.js'
import { needTools } from '../support/tools.js'

const IMAGE = 24 * MiB
const SECTORS = (64 * MiB) / 512
const DISK_GUID = '6a508528-97c0-4f7c-8a53-b0c5d1d6a001'

const type = ARCHITECTURES.amd64.rootPartition
const guidOf = (number: number) => `6a508528-97c0-4f7c-8a53-b0c5d1d6b00${number}`
/** MiB that lie free behind the ESP. */
const FREE = 16
const PARTITIONS = [1, 2, 3, 4, 5, 6].map((number) => {
  const first = 2048 * (number > partitionNumber('esp') ? number + FREE : number)
  const name = `part-${number}`
  return { number, type, guid: guidOf(number), name, attributes: 0n, first, last: first + 2047 }
})
const LIBRARY = PARTITIONS[5] as (typeof PARTITIONS)[number]

const BOOT_CODE = Buffer.from('boot code'.repeat(48))

/** LBA 0 as the image has it, but that its protective record covers the whole stick. */
const FIRST_SECTOR = encodeProtectiveMbr(SECTORS, BOOT_CODE)

/** An image as it was built, on a stick that is larger. */
async function neverStarted(path: string): Promise<void> {
  const disk = Buffer.alloc(SECTORS * 512)
  disk.set(encodeProtectiveMbr(IMAGE / 512, BOOT_CODE), 0)
  const { primary, backup } = encodeGpt(DISK_GUID, IMAGE / 512, PARTITIONS)
  disk.set(primary, 512)
  disk.set(backup, IMAGE - backup.length)
  await writeFile(path, disk)
}

async function tableAt(path: string, lba: number, sectors = SECTORS): Promise<Gpt | undefined> {
  const disk = await readFile(path)
  const read = async (offset: number, length: number) => disk.subarray(offset, offset + length)
  return readGpt(read, lba, sectors).catch(() => undefined)
}

const names = (table: Gpt | undefined) => table?.partitions.map(({ name }) => name)

if (needTools(t, 'bwrap', 'sfdisk', 'hexdump', 'dd', 'truncate')) {
  const folder = t.testdir()
  const bin = join(folder, 'bin')
  await mkdir(bin)
  const program = (name: string, text: string) =>
    writeFile(join(bin, name), `#!/bin/sh\n${text}\n`, { mode: 0o755 })
  await program('udevadm', ':')
  // The kernel shows partitions of a table that it can read.
  await program('blockdev', 'mkdir /sys/class/block/sda/sda2 && echo 2 > /sys/class/block/sda/sda2/partition')

  /** Runs commands in a shell that has the initrd's functions, with a file as /dev/sda. */
  const script = join(folder, 'script')
  const overlay = packageFile('src/host/overlay/etc/initramfs-tools/scripts/keyvisor')
  await writeFile(
    script,
    (await readFile(overlay, 'utf8')).replace('. /usr/lib/keyvisor/facts\n', factsText('amd64')),
  )
  const inInitrd = (disk: string, commands: string, path = bin) => {
    const set = `PATH=${path}:$PATH; . ${script}; mkdir -p /run/keyvisor /sys/class/block/sda /sys/block/sda
      mkdir /sys/class/block/sda/sda6; echo 6 > /sys/class/block/sda/sda6/partition
      mkdir /sys/class/block/sda6; echo ${LIBRARY.first} > /sys/class/block/sda6/start
      echo 2048 > /sys/class/block/sda6/size
      echo ${SECTORS} > /sys/class/block/sda/size; printk() { :; }; disk=sda`
    const binds = [
      '--ro-bind',
      '/',
      '/',
      '--dev',
      '/dev',
      '--tmpfs',
      '/run',
      '--tmpfs',
      '/sys',
      '--proc',
      '/proc',
    ]
    const own = ['--bind', disk, '/dev/sda', '--ro-bind', folder, folder]
    return systemTools.run({ tool: 'bwrap', args: [...binds, ...own, 'sh', '-c', `${set}; ${commands}`] })
  }

  await t.test('first boot: new GUIDs, one partition more, and LBA 0 stays', async (t) => {
    const disk = join(folder, 'first.raw')
    await neverStarted(disk)
    await inInitrd(disk, 'prepare_table')
    const [primary, backup] = [await tableAt(disk, 1), await tableAt(disk, SECTORS - 1)]
    t.strictSame(names(primary), [...PARTITIONS.map(({ name }) => name), 'data-new'])
    t.strictSame(primary?.partitions, backup?.partitions)
    t.match(
      primary?.partitions.slice(0, 6),
      PARTITIONS.map(({ first, last, type }) => ({ first, last, type })),
    )
    // To the last whole MiB before the backup.
    t.match(primary?.partitions[6], { first: LIBRARY.last + 1, last: SECTORS - 2048 - 1 })
    t.ok(primary?.partitions.every(({ guid }) => !PARTITIONS.some((old) => old.guid === guid)))
    t.not(primary?.header.diskGuid, DISK_GUID)
    const found = await readFile(disk)
    t.equal(found.toString('hex', 0, 512), FIRST_SECTOR.toString('hex'))
    const { stdout } = await systemTools.run({ tool: 'sfdisk', args: ['--verify', disk] })
    t.match(stdout, /No errors detected/)
    await inInitrd(disk, 'sfdisk --dump /dev/sda | sed s/data-new/data/ > $state/table && write_table')
    t.ok((await readFile(disk)).subarray(0, 512).equals(FIRST_SECTOR), 'a second writing')
    t.strictSame(names(await tableAt(disk, 1))?.at(-1), 'data')
  })

  await t.test('a stick whose free space behind the ESP is larger than its tail', async (t) => {
    const disk = join(folder, 'small.raw')
    await neverStarted(disk)
    const sectors = LIBRARY.last + 1 + 4 * 2048
    await truncate(disk, sectors * 512)
    await inInitrd(disk, `echo ${sectors} > /sys/class/block/sda/size; prepare_table`)
    const data = (await tableAt(disk, 1, sectors))?.partitions[6]
    t.match(data, { name: 'data-new', first: LIBRARY.last + 1 })
    t.equal(data?.last, sectors - 2048 - 1, 'and fills it')
  })

  await t.test('a stick without an active record gets none', async (t) => {
    const disk = join(folder, 'old.raw')
    await neverStarted(disk)
    const bytes = await readFile(disk)
    await writeFile(disk, bytes.fill(0, 462, 478))
    await inInitrd(disk, 'prepare_table')
    t.match(decodeMbr((await readFile(disk)).subarray(0, 512)), { protective: true, active: false })
    t.strictSame(names(await tableAt(disk, 1))?.at(-1), 'data-new')
  })

  await t.test('the primary is not touched before the backup is written', async (t) => {
    const disk = join(folder, 'order.raw')
    await neverStarted(disk)
    const before = await readFile(disk)
    const stopped = join(folder, 'stopped')
    await cp(bin, stopped, { recursive: true })
    // The plug is pulled when the second place is to be written.
    await writeFile(
      join(stopped, 'dd'),
      `#!/bin/sh\ncase $* in *seek=0*) exit 1 ;; esac\nexec /usr/bin/dd "$@"\n`,
      { mode: 0o755 },
    )
    await t.rejects(inInitrd(disk, 'prepare_table', stopped), { code: 'tool-failed' })
    const after = await readFile(disk)
    t.ok(after.subarray(0, IMAGE).equals(before.subarray(0, IMAGE)), 'the image is as it was')
    t.strictSame(names(await tableAt(disk, SECTORS - 1))?.at(-1), 'data-new', 'the backup is whole')
    await inInitrd(disk, 'prepare_table')
    t.strictSame(names(await tableAt(disk, 1))?.at(-1), 'data-new', 'the next start does it again')
  })

  await t.test('a primary that was torn anywhere is mended from the backup', async (t) => {
    const [old, whole, torn] = ['before.raw', 'whole.raw', 'torn.raw'].map((name) => join(folder, name)) as [
      string,
      string,
      string,
    ]
    await neverStarted(old)
    await cp(old, whole)
    await inInitrd(whole, 'prepare_table')
    const [before, after] = [await readFile(old), await readFile(whole)]
    let mended = 0
    for (let sectors = 0; sectors <= 6; sectors++) {
      const state = Buffer.from(after)
      state.set(before.subarray(sectors * 512, 34 * 512), sectors * 512)
      await writeFile(torn, state)
      if (await tableAt(torn, 1)) continue
      mended++
      // As GRUB reads it, without a look at checksums: bytes 16 to 31 of the second entry.
      const entry = state.subarray(1024 + 128 + 16, 1024 + 128 + 32)
      const grub = PARTITIONS[1]?.guid as string
      const old = entry.equals(before.subarray(1024 + 128 + 16, 1024 + 128 + 32))
      const fresh = (await tableAt(whole, 1))?.partitions[1]?.guid as string
      await inInitrd(torn, `disk=; mend_table ${(old ? grub : fresh).toUpperCase()} && [ "$disk" = sda ]`)
      t.strictSame(
        names(await tableAt(torn, 1)),
        names(await tableAt(whole, 1)),
        `${sectors} sectors were new`,
      )
      t.ok((await readFile(torn)).subarray(0, 512).equals(FIRST_SECTOR), 'LBA 0')
    }
    t.ok(mended >= 2, `${mended} states have a primary that cannot be read`)
  })

  await t.test('a disk of another is left alone', async (t) => {
    const disk = join(folder, 'other.raw')
    await neverStarted(disk)
    const file = await open(disk, 'r+')
    // A wrong checksum, and a GUID that is not the one that was booted.
    await file.write(Buffer.of(0xff), 0, 1, 512 + 16)
    await file.close()
    const before = await readFile(disk)
    await t.rejects(inInitrd(disk, `mend_table ${guidOf(3)}`), { code: 'tool-failed' })
    t.ok((await readFile(disk)).equals(before))
  })
}
