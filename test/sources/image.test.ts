/**
 * Outside images, made with the real qemu-img and then made hostile.
 */
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { sha256File } from '../../src/base/digests.js'
import { systemTools, type ToolRunner } from '../../src/base/tool.js'
import { alignUp, GiB, KiB, MiB } from '../../src/base/units.js'
import { EROFS_BLOCK } from '../../src/disk/erofs.js'
import type { ImageFormat } from '../../src/disk/image.js'
import { examineUserImage, imageVirtualSize } from '../../src/disk/image-file.js'
import { checkBase, convertImage, isBase, limitsOf } from '../../src/sources/image/disk.js'
import { needTools } from '../support/tools.js'

const qemu = (...args: string[]) => systemTools.run({ tool: 'qemu-img', args })

/** A qcow2 of 64 MiB with some bytes in it. */
async function makeImage(folder: string, ...options: string[]): Promise<string> {
  const raw = join(folder, 'some.raw')
  const path = join(folder, 'some.qcow2')
  writeFileSync(raw, Buffer.alloc(3 * MiB, 'keyvisor'))
  truncateSync(raw, 64 * MiB)
  await qemu('convert', '-f', 'raw', '-O', 'qcow2', ...options, raw, path)
  return path
}

/** Makes a base of an image that is none itself. */
async function convert(path: string, format: ImageFormat, scratch: string, sha256?: string) {
  const digest = sha256 ?? (await sha256File(path)).sha256
  return convertImage({ path, format, sha256: digest, size: statSync(path).size }, scratch, systemTools)
}

/** Looks at an image that is a base as it is. */
const check = (path: string, format: ImageFormat = 'qcow2', tools: ToolRunner = systemTools) =>
  checkBase({ path, name: path, size: statSync(path).size, format }, tools)

/** The same of a copy of it in the middle of another file, where a build would have put it. */
async function checkInside(path: string, format: ImageFormat = 'qcow2'): Promise<void> {
  const around = Buffer.alloc(64 * KiB, 'around')
  const whole = `${path}.whole`
  const bytes = readFileSync(path)
  const block = Buffer.concat([bytes], alignUp(bytes.length, EROFS_BLOCK))
  writeFileSync(whole, Buffer.concat([around, block, around]))
  await checkBase(
    { path: whole, at: around.length, name: path, size: statSync(path).size, format },
    systemTools,
  )
}

async function overwrite(path: string, at: number, bytes: Uint8Array): Promise<void> {
  const file = await open(path, 'r+')
  await file.write(bytes, 0, bytes.length, at)
  await file.close()
}

const u32 = (value: number) => {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}

t.test('a sound qcow2 is a base as it is, wherever it stands', async (t) => {
  if (!needTools(t, 'qemu-img', 'prlimit')) return
  const kinds = [
    [],
    ['-c'],
    ['-c', '-o', 'compression_type=zstd'],
    ['-o', 'compat=0.10'],
    ['-o', 'cluster_size=512'],
  ]
  for (const options of kinds) {
    const path = await makeImage(t.testdir(), ...options)
    t.equal(await imageVirtualSize(path, 'qcow2'), 64 * MiB)
    t.ok(isBase(await examineUserImage(path, 'qcow2', path)), options.join(' '))
    const before = readFileSync(path)
    await t.resolves(check(path))
    await t.resolves(checkInside(path))
    t.ok(readFileSync(path).equals(before), 'whoever looks changes nothing')
  }
})

t.test('a qcow2 that is smaller than what is read of an image', async (t) => {
  if (!needTools(t, 'qemu-img', 'prlimit')) return
  const path = join(t.testdir(), 'tiny.qcow2')
  await qemu('create', '-q', '-f', 'qcow2', '-o', 'cluster_size=512', path, '1k')
  t.ok(statSync(path).size < 16 * KiB)
  await t.resolves(check(path))
  await t.resolves(checkInside(path))
})

t.test('an ISO is a base as it is, wherever it stands', async (t) => {
  const folder = t.testdir()
  const [path, other] = [join(folder, 'some.iso'), join(folder, 'other.iso')]
  const iso = Buffer.alloc(100 * 2048)
  // ECMA-119, section 8.4: "CD001", the blocks of the volume, their size.
  iso.write('\x01CD001\x01', 16 * 2048, 'latin1')
  iso.writeUInt32LE(100, 16 * 2048 + 80)
  iso.writeUInt16LE(2048, 16 * 2048 + 128)
  writeFileSync(path, iso)
  t.ok(isBase(await examineUserImage(path, 'iso', path)))
  await t.resolves(checkInside(path, 'iso'))
  writeFileSync(other, iso.fill(0, 16 * 2048))
  await t.rejects(checkInside(other, 'iso'), { code: 'wrong-format', message: other })
})

t.test('a raw disk becomes a qcow2 with the same content', async (t) => {
  if (!needTools(t, 'qemu-img', 'prlimit')) return
  const folder = t.testdir({ scratch: {} })
  await makeImage(folder)
  const raw = join(folder, 'some.raw')
  t.equal(await imageVirtualSize(raw, 'raw'), 64 * MiB)
  t.notOk(isBase(await examineUserImage(raw, 'raw', raw)))
  const disk = await convert(raw, 'raw', join(folder, 'scratch'))
  await qemu('check', '-f', 'qcow2', disk)
  await qemu('compare', '-f', 'raw', '-F', 'qcow2', raw, disk)
  t.ok(statSync(disk).size < 8 * MiB)
})

t.test('of a sparse raw disk the holes are not written', async (t) => {
  if (!needTools(t, 'qemu-img', 'prlimit')) return
  const folder = t.testdir({ scratch: {} })
  const raw = join(folder, 'sparse.raw')
  writeFileSync(raw, 'x'.repeat(512))
  truncateSync(raw, GiB)
  const scratch = join(folder, 'scratch')
  await convert(raw, 'raw', scratch)
  const copies = readdirSync(scratch).map((name) => statSync(join(scratch, name)).blocks * 512)
  t.ok(Math.max(...copies) < 16 * MiB, `allocated: ${copies}`)
})

t.test('an image that names another file is refused before any tool opens it', async (t) => {
  if (!needTools(t, 'qemu-img')) return
  const folder = t.testdir({ scratch: {}, secret: 'x'.repeat(512) })
  const secret = join(folder, 'secret')
  const backed = join(folder, 'backed.qcow2')
  await qemu('create', '-q', '-f', 'qcow2', '-b', secret, '-F', 'raw', backed)
  const outside = join(folder, 'outside.qcow2')
  await qemu(
    'create',
    '-q',
    '-f',
    'qcow2',
    '-o',
    `data_file=${join(folder, 'bytes')},data_file_raw=on`,
    outside,
    '1M',
  )
  const hostile = [
    [backed, 'qcow2-backing-file', secret],
    [outside, 'qcow2-data-file', join(folder, 'bytes')],
  ] as const
  for (const [path, code, named] of hostile) {
    const error = { code, message: named, hint: /qemu-img convert/ }
    await t.rejects(imageVirtualSize(path, 'qcow2'), error)
    await t.rejects(check(path), { code })
    await t.rejects(checkInside(path), { code })
    const scratch = mkdtempSync(join(folder, 'scratch-'))
    await t.rejects(convert(path, 'qcow2', scratch), { code })
    t.notOk(existsSync(join(scratch, 'disk.qcow2')))
  }
})

t.test('a qcow2 that is called raw, and the other way round', async (t) => {
  if (!needTools(t, 'qemu-img')) return
  const folder = t.testdir({ scratch: {} })
  const path = await makeImage(folder)
  const error = { code: 'wrong-format', hint: 'write format: qcow2' }
  await t.rejects(imageVirtualSize(path, 'raw'), error)
  await t.rejects(convert(path, 'raw', join(folder, 'scratch')), error)
  await t.rejects(check(path, 'raw'), error)
  await t.rejects(imageVirtualSize(join(folder, 'some.raw'), 'qcow2'), { code: 'wrong-format' })
})

t.test('a raw disk of half a sector, or of none', async (t) => {
  const folder = t.testdir({ odd: 'x'.repeat(700), empty: '' })
  await t.rejects(imageVirtualSize(join(folder, 'odd'), 'raw'), {
    code: 'wrong-format',
    message: '700 bytes',
  })
  await t.rejects(imageVirtualSize(join(folder, 'empty'), 'raw'), { code: 'wrong-format' })
  await t.rejects(imageVirtualSize(join(folder, 'none'), 'raw'), { code: 'file-missing' })
})

t.test('an image that ends too early', async (t) => {
  if (!needTools(t, 'qemu-img', 'prlimit')) return
  const folder = t.testdir({ scratch: {} })
  const path = await makeImage(folder)
  for (const size of [2 * MiB, 200 * KiB]) {
    truncateSync(path, size)
    await t.rejects(check(path), { code: 'image-damaged' }, `${size} bytes`)
    await t.rejects(checkInside(path), { code: 'image-damaged' }, 'what stands behind it is not its own')
  }
  for (const [size, code] of [
    [150 * KiB, 'qcow2-damaged'],
    [80, 'qcow2-damaged'],
    [3, 'wrong-format'],
    [0, 'wrong-format'],
  ] as const) {
    truncateSync(path, size)
    await t.rejects(check(path), { code }, `${size} bytes`)
    await t.rejects(checkInside(path), { code })
  }
})

t.test('reference counts that are wrong', async (t) => {
  if (!needTools(t, 'qemu-img', 'prlimit')) return
  const folder = t.testdir({ scratch: {} })
  const path = await makeImage(folder)
  // "refcount_table_offset" is at byte 48; its first entry names the first refcount block.
  const head = readFileSync(path)
  const block = Number(head.readBigUInt64BE(Number(head.readBigUInt64BE(48))))
  await overwrite(path, block, Buffer.alloc(64))
  const error = { code: 'image-damaged', message: path, hint: /qemu-img check -r all/ }
  await t.rejects(check(path), error)
  await t.rejects(checkInside(path), error)
})

/** Makes an image dirty: as long as one with lazy reference counts is open for writing, or when that ended by a kill. */
async function makeDirty(folder: string): Promise<string> {
  const path = join(folder, 'dirty.qcow2')
  await qemu('create', '-q', '-f', 'qcow2', '-o', 'lazy_refcounts=on', path, '64M')
  await systemTools
    .run({ tool: 'qemu-io', args: ['-c', 'write -P 7 0 3M', '-c', 'abort', path] })
    .catch(() => {})
  return path
}

t.test('leaked clusters are no damage: the image is a base as it is', async (t) => {
  if (!needTools(t, 'qemu-img', 'prlimit')) return
  const folder = t.testdir({ scratch: {} })
  const path = await makeImage(folder)
  const head = readFileSync(path)
  const block = Number(head.readBigUInt64BE(Number(head.readBigUInt64BE(48))))
  const cluster = Math.ceil(head.length / (64 * KiB)) + 1
  truncateSync(path, (cluster + 1) * 64 * KiB)
  await overwrite(path, block + 2 * cluster, Buffer.of(0, 1))
  await t.rejects(qemu('check', '-f', 'qcow2', path), { message: /exit code 3/ }, 'it is as it should be')
  t.ok(isBase(await examineUserImage(path, 'qcow2', path)))
  await t.resolves(check(path))
  await t.resolves(checkInside(path))
})

t.test('a dirty image passes by way of a new one', async (t) => {
  if (!needTools(t, 'qemu-img', 'qemu-io', 'prlimit')) return
  const folder = t.testdir({ scratch: {} })
  const path = await makeDirty(folder)
  t.equal(readFileSync(path)[79], 1, 'its dirty bit is set')
  await t.rejects(qemu('check', '-f', 'qcow2', path), { message: /exit code 2/ })
  t.notOk(isBase(await examineUserImage(path, 'qcow2', path)))
  const disk = await convert(path, 'qcow2', join(folder, 'scratch'))
  await qemu('check', '-f', 'qcow2', disk)
  await qemu('compare', '-f', 'qcow2', '-F', 'qcow2', path, disk)
  const scratch = mkdtempSync(join(folder, 'scratch-'))
  const again = await convert(path, 'qcow2', scratch)
  t.ok(readFileSync(again).equals(readFileSync(disk)), 'the same bytes each time')
})

t.test('a dirty image that ends too early, which qemu-img convert would fill up with zeros', async (t) => {
  if (!needTools(t, 'qemu-img', 'qemu-io', 'prlimit')) return
  const folder = t.testdir({ scratch: {} })
  const path = await makeDirty(folder)
  truncateSync(path, 2 * MiB)
  await t.rejects(convert(path, 'qcow2', join(folder, 'scratch')), {
    code: 'image-damaged',
    message: /exceeding the end of the file/,
  })
  t.notOk(existsSync(join(folder, 'scratch', 'disk.qcow2')))
})

t.test('a small dirty image that stands for a large disk does not fill the builder', async (t) => {
  if (!needTools(t, 'qemu-img', 'qemu-io', 'prlimit')) return
  const folder = t.testdir({ scratch: {} })
  const path = await makeDirty(folder)
  // Every entry of the first L2 table names the same cluster, which makes half a GiB of it.
  const bytes = readFileSync(path)
  const l2 = Number(bytes.readBigUInt64BE(Number(bytes.readBigUInt64BE(40))) & 0xfffffffffffe00n)
  const entry = bytes.subarray(l2, l2 + 8)
  await overwrite(path, l2, Buffer.alloc(64 * KiB, entry))
  await overwrite(path, 79, Buffer.of(1))
  await overwrite(path, 24, Buffer.from('0000000020000000', 'hex'))
  const scratch = join(folder, 'scratch')
  await t.rejects(convert(path, 'qcow2', scratch), { code: 'image-damaged', message: /File too large/ })
  t.ok(statSync(join(scratch, 'disk.qcow2')).size < 256 * MiB)
})

t.test('what a check says, in the words of each exit code', async (t) => {
  if (!needTools(t, 'qemu-img', 'prlimit')) return
  const folder = t.testdir()
  const path = await makeImage(folder)
  /** What is said where the tool is asked for another format, or another file. */
  const said = (words: Record<string, string> = {}) => {
    const run: ToolRunner['run'] = (call) =>
      systemTools.run({ ...call, args: call.args.map((word) => words[word] ?? word) })
    const image = { path, name: 'web.qcow2', size: statSync(path).size, format: 'qcow2' as const }
    return checkBase(image, { argv: systemTools.argv, run })
  }
  await said()
  await t.rejects(said({ qcow2: 'raw' }), {
    code: 'image-unchecked',
    message: /^web\.qcow2 cannot be checked, .* does not support checks$/,
  })
  await t.rejects(said({ [path]: join(folder, 'none') }), {
    code: 'image-unchecked',
    message: /did not come to its end: .*No such file or directory$/,
  })
  const head = readFileSync(path)
  const block = Number(head.readBigUInt64BE(Number(head.readBigUInt64BE(48))))
  await overwrite(path, block, Buffer.alloc(2))
  await t.rejects(said(), {
    code: 'image-damaged',
    message: /^web\.qcow2 is a damaged image: ERROR cluster 0 refcount=0 reference=1$/,
    hint: /qemu-img check -r all/,
  })
})

t.test('limits grow with the image', async (t) => {
  t.strictSame(limitsOf(64 * MiB), { memory: 2 * GiB + 2 * MiB, seconds: 308 })
  const large = limitsOf(1024 * GiB)
  t.ok(large.seconds > 24 * 3600, 'a check of 1 TiB may take a day')
  t.equal(large.memory, 2 * GiB + 64 * MiB)
  const dense = { clusterBytes: 512, refcountBits: 64 }
  t.equal(limitsOf(16 * GiB, dense).memory, 2 * GiB + 512 * MiB)
  t.equal(limitsOf(16 * 1024 * GiB, dense).memory, 8 * GiB, 'the builder has other things to do')
})

t.test('absurd headers are refused without a tool', async (t) => {
  if (!needTools(t, 'qemu-img')) return
  const absurd: [string, number, Uint8Array][] = [
    ['a disk of 2^63 bytes', 24, Buffer.from('7fffffffffffffff', 'hex')],
    ['an L1 table of 32 GiB', 36, u32(0xffffffff)],
    ['a refcount table of 2^31 clusters', 56, u32(0x80000000)],
    ['4 billion snapshots', 60, u32(0xffffffff)],
    ['clusters of 2^40 bytes', 20, u32(40)],
    ['an unknown feature', 72, Buffer.from('8000000000000000', 'hex')],
    ['the mark of a corrupt image', 79, Buffer.of(2)],
    ['encryption', 32, u32(1)],
  ]
  for (const [what, at, bytes] of absurd) {
    const folder = t.testdir({ scratch: {} })
    const path = await makeImage(folder)
    await overwrite(path, at, bytes)
    await t.rejects(imageVirtualSize(path, 'qcow2'), { name: 'KeyvisorError' }, what)
    await t.rejects(check(path), { name: 'KeyvisorError' }, what)
    await t.rejects(checkInside(path), { name: 'KeyvisorError' }, what)
    await t.rejects(convert(path, 'qcow2', join(folder, 'scratch')), { name: 'KeyvisorError' }, what)
    t.notOk(existsSync(join(folder, 'scratch', 'disk.qcow2')))
  }
})

t.test('an image that changed since it was locked is not taken', async (t) => {
  if (!needTools(t, 'qemu-img', 'qemu-io')) return
  const folder = t.testdir({ scratch: {} })
  await makeImage(folder)
  const images = [
    [join(folder, 'some.raw'), 'raw'],
    [await makeDirty(folder), 'qcow2'],
  ] as const
  for (const [path, format] of images) {
    const { sha256 } = await sha256File(path)
    await overwrite(path, statSync(path).size - 1, Buffer.of(1))
    const scratch = mkdtempSync(join(folder, 'scratch-'))
    const error = { code: 'image-changed', message: path, hint: /--update/ }
    await t.rejects(convert(path, format, scratch, sha256), error, format)
  }
})
