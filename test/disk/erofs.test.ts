/** File systems that fsck.erofs reads as we do, and damaged ones that end in words. */
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import { systemTools } from '../../src/base/tool.js'
import { alignUp, MiB } from '../../src/base/units.js'
import { crc32c } from '../../src/disk/crc32c.js'
import { decodeErofs, EROFS_BLOCK, encodeErofs, readErofs } from '../../src/disk/erofs.js'
import { fileReader } from '../../src/disk/file-reader.js'
import type { ReadAt } from '../../src/disk/gpt.js'
import { identify } from '../../src/disk/identify.js'
import { below, changed, holds, noise, readOrRefused } from '../support/property.js'
import { needTools, skipAloud } from '../support/tools.js'

const UUID = '0a1b2c3d-4e5f-8071-8293-a4b5c6d7e8f9'
const EPOCH = 1_750_000_000
const run = (tool: string, ...args: string[]) => systemTools.run({ tool, args })

/** What fsck.erofs says is wrong, which it ends well with. */
async function complaints(...args: string[]): Promise<string> {
  const { stdout, stderr } = await run('fsck.erofs', ...args)
  return `${stdout}${stderr}`
    .split('\n')
    .filter((line) => line.startsWith('<E>'))
    .join('\n')
}

type Files = Record<string, Buffer>

/** A whole file system of these files. */
function imageOf(contents: Files): Buffer {
  const files = Object.entries(contents).map(([name, { length }]) => ({ name, size: length }))
  const { metadata, offsets, size } = encodeErofs({ label: 'library', uuid: UUID, epoch: EPOCH, files })
  const image = Buffer.concat([metadata], size)
  for (const [index, { name }] of files.entries()) contents[name]?.copy(image, offsets[index])
  return image
}

const reader =
  (image: Buffer): ReadAt =>
  async (offset, length) =>
    image.subarray(offset, offset + length)

const noisy = (length: number) =>
  Buffer.from(Array.from({ length }, (_, index) => (index * 31 + length) % 251))

const digestLike = (index: number) => index.toString(16).padStart(64, '0')

/** Sizes around a block, an empty file, and names whose order by bytes is not that of the alphabet. */
const SOME: Files = {
  'guests.json': noisy(4095),
  'Zeta.iso': noisy(4096),
  'a b.qcow2': noisy(4097),
  'a.qcow2': noisy(1),
  '~last': noisy(20_000),
  empty: Buffer.alloc(0),
}
const NAME_BYTES = 70
const MANY: Files = Object.fromEntries(
  Array.from({ length: 200 }, (_, index) => [`${digestLike(index * 7919)}.qcow2`, noisy(1 + index * 41)]),
)
const KINDS: Record<string, Files> = { none: {}, one: { 'guests.json': noisy(1) }, some: SOME, many: MANY }

t.test('fsck.erofs reads what was encoded, and so do we', async (t) => {
  if (!needTools(t, 'fsck.erofs', 'dump.erofs')) return
  for (const [kind, files] of Object.entries(KINDS)) {
    const folder = t.testdir()
    const [path, out] = [join(folder, 'image'), join(folder, 'out')]
    const image = imageOf(files)
    writeFileSync(path, image)
    t.equal(await complaints(`--extract=${out}`, path), '', kind)
    t.strictSame(readdirSync(out).sort(), Object.keys(files).sort())
    for (const [name, bytes] of Object.entries(files)) {
      t.ok(readFileSync(join(out, name)).equals(bytes), `${kind}: ${name}`)
    }
    for (const name of Object.keys(files).slice(0, 3)) {
      const { mode, mtimeMs } = statSync(join(out, name))
      t.equal(mode, 0o100444)
      t.equal(mtimeMs, EPOCH * 1000)
    }
    const found = await readErofs(reader(image))
    t.strictSame(found.map(({ name }) => name).sort(), Object.keys(files).sort())
    for (const { name, offset, size, mode, owner, group } of found) {
      t.ok(image.subarray(offset, offset + size).equals(files[name] as Buffer), name)
      t.equal(offset % EROFS_BLOCK, 0)
      t.strictSame([mode, owner, group], [0o100444, 0, 0])
    }
    const { stdout } = await run('dump.erofs', '-s', path)
    t.match(stdout, /Filesystem blocks: +(\d+)/)
    t.equal(Number(/Filesystem blocks: +(\d+)/.exec(stdout)?.[1]) * EROFS_BLOCK, image.length)
    t.match(stdout, `Filesystem UUID:                              ${UUID}`)
    t.match(stdout, new RegExp(`Filesystem inode count: +${Object.keys(files).length + 1}$`, 'm'))
    t.strictSame(decodeErofs(image), { bytes: image.length, label: 'library', uuid: UUID })
    t.strictSame(identify(image), { kind: 'erofs', bytes: image.length, label: 'library', uuid: UUID })
  }
})

t.test('the kernel reads it', async (t) => {
  const isKnown = /\berofs$/m.test(readFileSync('/proc/filesystems', 'utf8'))
  if (process.getuid?.() !== 0 || !existsSync('/dev/loop-control') || !isKnown)
    return skipAloud(t, 'only root, where the kernel has loop devices and EROFS, can mount one')
  const folder = t.testdir({ at: {} })
  const [path, at] = [join(folder, 'image'), join(folder, 'at')]
  for (const [kind, files] of Object.entries(KINDS)) {
    writeFileSync(path, imageOf(files))
    await run('mount', '-t', 'erofs', '-o', 'loop,ro', path, at)
    try {
      t.strictSame(readdirSync(at).sort(), Object.keys(files).sort(), kind)
      const wrong = Object.entries(files).filter(
        ([name, bytes]) => !readFileSync(join(at, name)).equals(bytes),
      )
      t.strictSame(wrong, [])
    } finally {
      await run('umount', at)
    }
  }
})

t.test('200 files take several blocks of a folder', async (t) => {
  const { metadata } = encodeErofs({
    label: '',
    uuid: UUID,
    epoch: 0,
    files: Object.entries(MANY).map(([name, { length }]) => ({ name, size: length })),
  })
  const inodes = alignUp(201 * 64, EROFS_BLOCK)
  t.ok(metadata.length - EROFS_BLOCK - inodes >= alignUp(200 * (NAME_BYTES + 12), EROFS_BLOCK))
})

t.test('each file begins at a block behind the one before it, in the order of the request', async (t) => {
  const files = [1, 4095, 4096, 4097, 0, 3 * MiB].map((size, index) => ({ name: `${9 - index}`, size }))
  const { metadata, offsets, size } = encodeErofs({ label: '', uuid: UUID, epoch: 0, files })
  t.equal(metadata.length, 3 * EROFS_BLOCK)
  let at = metadata.length
  for (const [index, file] of files.entries()) {
    t.equal(offsets[index], at, `${file.size}`)
    at += alignUp(file.size, EROFS_BLOCK)
  }
  t.equal(size, at)
})

t.test('a file system of many GiB is known without its files', async (t) => {
  const size = 600 * 1024 * MiB
  const files = ['a', 'b'].map((name) => ({ name, size }))
  const erofs = encodeErofs({ label: '', uuid: UUID, epoch: 0, files })
  t.equal(erofs.size, erofs.metadata.length + 2 * size)
  t.equal(erofs.offsets[1], erofs.metadata.length + size)
  const found = await readErofs(reader(erofs.metadata))
  t.strictSame(
    found.map(({ offset }) => offset),
    erofs.offsets,
  )
})

t.test("the superblock's checksum is the kernel's", async (t) => {
  if (!needTools(t, 'fsck.erofs')) return
  const path = join(t.testdir(), 'image')
  const image = imageOf(SOME)
  writeFileSync(path, image)
  t.equal(await complaints(path), '')
  // RFC 3720, B.4: 32 bytes of zeros give aa 36 91 8a, with the last inversion.
  t.equal(crc32c(Buffer.alloc(32)), ~0x8a9136aa >>> 0)
  for (const at of [1024 + 4, 1024 + 100, 4095]) {
    const copy = Buffer.from(image)
    copy[at] = (copy[at] as number) ^ 1
    writeFileSync(path, copy)
    t.match(await complaints(path), /chksum doesn't match/, `byte ${at}`)
  }
})

t.test('the real kernel tools make one that has compression: it is refused, not misread', async (t) => {
  if (!needTools(t, 'mkfs.erofs')) return
  const folder = t.testdir({ tree: { file: 'x'.repeat(40_000), below: { more: 'y' } } })
  const path = join(folder, 'image')
  await run('mkfs.erofs', '-zlz4hc', path, join(folder, 'tree'))
  t.match(identify(readFileSync(path)), { kind: 'erofs' })
  await t.rejects(readErofs(reader(readFileSync(path))), { code: 'library-damaged' })
})

t.test('what is none is said to be none', async (t) => {
  const image = imageOf(SOME)
  t.equal(decodeErofs(Buffer.alloc(4096)), undefined)
  t.equal(decodeErofs(image.subarray(0, 1100)), undefined)
  t.equal(decodeErofs(Buffer.alloc(0)), undefined)
  await t.rejects(readErofs(reader(Buffer.alloc(8192))), { code: 'library-damaged' })
  await t.rejects(readErofs(reader(Buffer.alloc(0))), { code: 'library-damaged' })
  const cases: [what: string, at: number, change: (bytes: Buffer, at: number) => void][] = [
    ['other blocks', 1024 + 12, (bytes, at) => bytes.writeUInt8(9, at)],
    ['an inode of another form', 4096, (bytes, at) => bytes.writeUInt16LE(7, at)],
    ['a file where the folder should be', 4096 + 4, (bytes, at) => bytes.writeUInt16LE(0o100444, at)],
    ['a folder of 2^40 bytes', 4096 + 8, (bytes, at) => bytes.writeBigUInt64LE(1n << 40n, at)],
    ['a folder behind the end', 4096 + 16, (bytes, at) => bytes.writeUInt32LE(0xffffffff, at)],
    ['a folder without entries', 8192 + 8, (bytes, at) => bytes.writeUInt16LE(0, at)],
    ['a name behind its block', 8192 + 8 + 12, (bytes, at) => bytes.writeUInt16LE(0xffff, at)],
    ['an inode behind the end', 8192 + 24, (bytes, at) => bytes.writeBigUInt64LE(1n << 40n, at)],
  ]
  for (const [what, at, change] of cases) {
    const copy = Buffer.from(image)
    change(copy, at)
    await t.rejects(readErofs(reader(copy)), { code: 'library-damaged' }, what)
  }
})

/** As an image is read: from a file, which has its own opinion of offsets. */
async function readFromFile(path: string, image: Buffer): Promise<unknown> {
  writeFileSync(path, image)
  const file = await open(path)
  try {
    return await readErofs(fileReader(file))
  } finally {
    await file.close()
  }
}

t.test('truncated, it ends in words or an answer', async (t) => {
  const path = join(t.testdir(), 'image')
  const images = [imageOf(SOME), imageOf(MANY)]
  const cut = fc.record({ which: below(2), length: below(40_000) })
  const isTold = async ({ which, length }: { which: number; length: number }) => {
    const image = (images[which] as Buffer).subarray(0, length)
    const found = await readOrRefused(() => readFromFile(path, image))
    return found === undefined || Array.isArray(found)
  }
  await holds(t, 200, fc.asyncProperty(cut, isTold))
})

t.test('with noise in its metadata, it ends in words or an answer', async (t) => {
  const path = join(t.testdir(), 'image')
  const image = imageOf(SOME)
  const places = fc.oneof(
    noise(1024, 1024 + 128, 4),
    noise(4096, 4096 + 7 * 64, 4),
    noise(8192, 8192 + 200, 4),
    noise(0, 12_288, 40),
  )
  const isTold = async (changes: { at: number; byte: number }[]) => {
    await readOrRefused(() => readFromFile(path, changed(image, changes)))
  }
  await holds(t, 1000, fc.asyncProperty(places, isTold))
  t.ok(existsSync(path))
})

t.test('any one bit may flip', async (t) => {
  const path = join(t.testdir(), 'image')
  const image = imageOf(SOME)
  const isTold = async (at: number, bit: number) => {
    const copy = Buffer.from(image)
    copy[at] = (copy[at] as number) ^ (1 << bit)
    await readOrRefused(() => readFromFile(path, copy))
  }
  const inMetadata = fc.oneof(
    below(128).map((at) => 1024 + at),
    below(448).map((at) => 4096 + at),
    below(200).map((at) => 8192 + at),
  )
  await holds(t, 1000, fc.asyncProperty(inMetadata, below(8), isTold))
})
