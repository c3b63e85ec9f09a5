import { copyFileSync, existsSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import { MiB } from '../../src/base/units.js'
import { BACKUP_SECTORS, encodeGpt } from '../../src/disk/gpt.js'
import { encodeProtectiveMbr } from '../../src/disk/mbr.js'
import { inspectImage, MANIFEST_ON_ESP } from '../../src/media/inspect.js'
import { assemble, makePayloads, oldLibrary, run, TOOLS, UUID } from '../support/images.js'
import {
  below,
  type Change,
  holds,
  noise,
  readOrRefused,
  changed as withChanges,
} from '../support/property.js'
import { needTools, skipAloud } from '../support/tools.js'

t.test('an image', async (t) => {
  if (!needTools(t, ...TOOLS)) return
  const folder = t.testdir()
  const image = join(folder, 'demo.img')
  const payloads = await makePayloads(folder)
  const layout = await assemble(image, payloads)

  /** What inspect says of a copy that was changed. */
  const changed = async (change: (bytes: Buffer) => Buffer | undefined) => {
    const copy = join(folder, 'changed.img')
    const bytes = readFileSync(image)
    writeFileSync(copy, change(bytes) ?? bytes)
    return inspectImage(copy)
  }
  const notesOf = async (change: (bytes: Buffer) => Buffer | undefined) => (await changed(change)).notes

  t.test('as it was built', async (t) => {
    const found = await inspectImage(image)
    t.same(found.notes, [])
    t.same(found.layout, layout, 'the layout is read back, and the smallest stick is what the manifest says')
    t.equal(found.size, layout.sectors * 512)
    t.ok(found.allocated && found.allocated < found.size / 4, 'holes take nothing')
    t.match(found.manifest, { name: 'demo' })
    t.match(
      found.partitions.map(({ content, verity }) => ({ content, verity })),
      [
        { content: { kind: 'grub', start: 2049 }, verity: null },
        { content: { kind: 'fat', label: 'KEYVISORESP', bytes: 34 * MiB }, verity: null },
        {
          content: { kind: 'squashfs' },
          verity: { algorithm: 'sha256', dataBlocks: statSync(payloads.root).size / 4096 - 2 },
        },
        { content: { kind: 'zeros' }, verity: null },
        { content: { kind: 'fat', label: 'KEYVISOR', bytes: 34 * MiB }, verity: null },
        {
          content: { kind: 'erofs', label: 'library', uuid: UUID, bytes: 3 * 4096 },
          verity: { algorithm: 'sha256', dataBlocks: 3, salt: '' },
        },
      ],
    )
  })

  t.test('on a stick that is plugged in', async (t) => {
    if (process.getuid?.() !== 0 || !existsSync('/dev/loop-control'))
      return skipAloud(t, 'only root, where the kernel has loop devices, can make a file a disk')
    const stick = join(folder, 'stick.raw')
    copyFileSync(image, stick)
    truncateSync(stick, 256 * MiB)
    const { stdout } = await run('losetup', '--find', '--show', '--read-only', stick)
    const device = stdout.trim()
    t.teardown(() => run('losetup', '--detach', device))
    const found = await inspectImage(device, true)
    t.match(found, { size: 256 * MiB, allocated: null, manifest: { name: 'demo' } })
    t.same(found.layout, layout)
    t.match(found.notes, [/^the GPT ends before the disk does/])
    t.equal(found.notes.length, 1)
    await t.rejects(inspectImage(device), { code: 'not-an-image' }, 'where an image is wanted')
  })

  t.test('damage to the GPT', async (t) => {
    const end = layout.sectors * 512
    t.match(await notesOf((bytes) => bytes.fill(0, 600, 610) as Buffer), [
      /the GPT at LBA 1 is damaged: the checksum of its header is wrong; the backup is good/,
    ])
    t.match(await notesOf((bytes) => bytes.fill(0, 512, 1024) as Buffer), [
      /LBA 1 has no GPT header; the backup is good/,
    ])
    t.match(await notesOf((bytes) => bytes.fill(0xff, end - 16890, end - 16880) as Buffer), [
      /checksum of its entries is wrong; the primary is good/,
    ])
    t.match(await notesOf((bytes) => bytes.fill(0, 510, 512) as Buffer), [/LBA 0 has no MBR/])
    t.match(await notesOf((bytes) => bytes.fill(0x83, 450, 451) as Buffer), [/not a protective MBR/])
    t.match(await notesOf((bytes) => Buffer.concat([bytes, Buffer.alloc(MiB)])), [
      /made for a disk of another size/,
    ])
    await t.rejects(
      changed((bytes) => bytes.subarray(0, 20 * MiB)),
      { code: 'image-damaged', message: /other copy at LBA/, hint: /checksum/ },
      'a download that was cut off',
    )
  })

  t.test('copies of the GPT that differ', async (t) => {
    const other = encodeGpt(UUID, layout.sectors, []).backup
    const at = (layout.sectors - BACKUP_SECTORS) * 512
    const notes = await notesOf((bytes) => void bytes.set(other, at))
    t.same(notes, ['the two copies of the GPT differ'])
  })

  t.test('boot code that leads nowhere', async (t) => {
    t.match(await notesOf((bytes) => void bytes.writeUInt32LE(99, 0x5c)), [
      'the boot code looks for GRUB at LBA 99; bios-boot begins at LBA 2048',
    ])
    t.match(await notesOf((bytes) => void bytes.fill(0, 0, 440)), [/no boot code of GRUB/])
    t.strictSame(
      await notesOf((bytes) => void bytes.fill(0, 462, 478)),
      ['no record of the MBR is active: some BIOSes will not start this'],
      'as sticks had it before',
    )
    const forBios = Buffer.from('"name":"demo"')
    const forUefi = Buffer.from('"firmware":[]')
    const notForBios = await notesOf((bytes) => {
      bytes.fill(0, 0, 440)
      forUefi.copy(bytes, bytes.indexOf(forBios))
    })
    t.strictSame(notForBios, [], 'none for a stick that no BIOS shall start')
    t.match(await notesOf((bytes) => void bytes.writeUInt32LE(99, MiB + 500)), [
      "GRUB's core image was made for LBA 98, and stands at LBA 2048",
    ])
  })

  t.test('partitions that hold something else', async (t) => {
    const firstOf = (name: string) => (layout.partitions.find((one) => one.name === name)?.first ?? 0) * 512
    t.match(await notesOf((bytes) => void bytes.fill(0, firstOf('root-a'), firstOf('root-a') + 4096)), [
      'partition 3 (root-a) should hold squashfs, and holds zeros',
    ])
    // "blocks" of its superblock, at byte 1024.
    t.match(await notesOf((bytes) => void bytes.writeUInt32LE(1 << 20, firstOf('library') + 1024 + 36)), [
      'partition 6 (library) holds erofs of 4GiB, which is more than fits',
    ])
    t.match(await notesOf((bytes) => void bytes.fill(0, firstOf('esp'), firstOf('esp') + 4096)), [
      'partition 2 (esp) should hold fat, and holds zeros',
      'there is no ESP, and so no manifest',
    ])
  })

  t.test('an image of before, whose library is ext4', async (t) => {
    const old = join(folder, 'old.img')
    await assemble(old, { ...payloads, library: await oldLibrary(join(folder, 'old-library')) })
    const { partitions, notes } = await inspectImage(old)
    t.strictSame(notes, ['partition 6 (library) should hold erofs, and holds ext4'])
    t.match(partitions.at(-1), {
      content: { kind: 'ext4', uuid: UUID, bytes: 4 * MiB },
      verity: { dataBlocks: 1024 },
    })
  })

  t.test('a manifest that cannot be read is a note', async (t) => {
    const withEsp = async (content: string | undefined) => {
      const esp = join(folder, 'other-esp')
      copyFileSync(payloads.esp, esp)
      await run('mdel', '-i', esp, `::${MANIFEST_ON_ESP}`)
      if (content !== undefined) {
        writeFileSync(join(folder, 'other.json'), content)
        await run('mcopy', '-i', esp, join(folder, 'other.json'), `::${MANIFEST_ON_ESP}`)
      }
      await assemble(join(folder, 'other.img'), { ...payloads, esp })
      return inspectImage(join(folder, 'other.img'))
    }
    t.match(await withEsp(undefined), { manifest: null, notes: [/no readable manifest/] })
    t.match(await withEsp('{"name":'), { manifest: null, notes: [/is not JSON/] })
    t.match(await withEsp('{"version": 1}'), {
      manifest: { version: 1 },
      notes: ['the manifest is of version 1, and this Keyvisor reads version 4'],
    })
    const odd = await withEsp('{"dataMinimum": -1, "__proto__": {}}')
    t.same(odd.notes, [])
    t.match(odd.layout, { smallestStick: odd.size, data: { minimum: 0 } }, 'without data, the image itself')
    const [, esp] = layout.partitions.map(({ first }) => first * 512) as [0, 0]
    t.match(await changed((bytes) => void bytes.writeUInt8(3, esp + 13)), {
      manifest: null,
      notes: ['the manifest was not read: the FAT file system is damaged: clusters of 3 sectors'],
    })
  })

  t.test('noise ends in a report or an error for people', async (t) => {
    const copy = join(folder, 'noise.img')
    copyFileSync(image, copy)
    const starts = [0, 512, 1024, ...layout.partitions.map(({ first }) => first * 512)]
    const file = await open(copy, 'r+')
    const sectors = await Promise.all(starts.map((start) => sectorAt(file, start)))
    const inspectNoise = async (index: number, changes: Change[]) => {
      const sector = sectors[index] as Buffer
      await file.write(withChanges(sector, changes), 0, 512, starts[index])
      await readOrRefused(() => inspectImage(copy))
      await file.write(sector, 0, 512, starts[index])
    }
    const property = fc.asyncProperty(below(starts.length), noise(0, 512, 30), inspectNoise)
    await holds(t, 100, property).finally(() => file.close())
  })
})

async function sectorAt(file: FileHandle, at: number): Promise<Buffer> {
  return (await file.read(Buffer.alloc(512), 0, 512, at)).buffer
}

t.test('a stick that was booted has its data partition in the table', async (t) => {
  const path = join(t.testdir(), 'stick.img')
  const sectors = 8192
  const partitions = ['library', 'data'].map((name, index) => ({
    number: index + 1,
    type: UUID,
    guid: UUID,
    first: 2048 * (index + 1),
    last: 2048 * (index + 2) - 1,
    attributes: 0n,
    name,
  }))
  const { primary, backup } = encodeGpt(UUID, sectors, partitions)
  const gap = Buffer.alloc((sectors - 1 - 2 * BACKUP_SECTORS) * 512)
  writeFileSync(path, Buffer.concat([encodeProtectiveMbr(sectors), primary, gap, backup]))
  const found = await inspectImage(path)
  t.equal(found.layout.data, null)
  t.equal(found.layout.partitions.length, 2)
})

t.test('what is not an image', async (t) => {
  const folder = t.testdir({ 'empty.img': '', 'text.img': 'hello', folder: {} })
  await t.rejects(inspectImage(join(folder, 'folder')), { code: 'not-a-file', message: /is a folder/ })
  for (const name of ['empty.img', 'text.img']) {
    await t.rejects(inspectImage(join(folder, name)), { code: 'not-an-image' }, name)
  }
  writeFileSync(join(folder, 'zeros.img'), Buffer.alloc(MiB))
  await t.rejects(inspectImage(join(folder, 'zeros.img')), {
    code: 'not-an-image',
    message: /zeros\.img is not a disk image: it has no GUID partition table/,
  })
  await t.rejects(inspectImage(join(folder, 'absent.img')), { code: 'no-such-file' })
  await t.rejects(inspectImage(join(folder, 'text.img', 'below.img')), {
    code: 'image-unreadable',
    message: /below\.img cannot be opened: a part of the path is a file, and no folder$/,
    hint: /^correct the path/,
  })
})
