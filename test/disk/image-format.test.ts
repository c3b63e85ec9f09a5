/**
 * What people call a raw disk: files that other people made, and those of the usual tools.
 */
import { readdirSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { systemTools } from '../../src/base/tool.js'
import { KiB, MiB } from '../../src/base/units.js'
import { examineImageFile } from '../../src/disk/image-file.js'
import { type ImageBytes, identifyImage } from '../../src/disk/image-format.js'
import { needCorpus, needTool, needTools } from '../support/tools.js'

const bytesOf = (bytes: Buffer): ImageBytes => ({
  size: bytes.length,
  read: async (offset, length) => bytes.subarray(offset, offset + length),
})
const nameOf = async (bytes: Buffer) => (await identifyImage(bytesOf(bytes)))?.name

/** A file of `size` zeros with some text in it. */
function filled(size: number, at: number, text: string): Buffer {
  const bytes = Buffer.alloc(size)
  bytes.write(text, at < 0 ? size + at : at, 'latin1')
  return bytes
}

const OTHERS: Record<string, RegExp | undefined> = {
  'afl5.img': /VHD/,
  'afl9.vmdk': /VMDK/,
  'd2v-zerofilled.vhd': /VHD/,
  'empty.bochs': /Bochs/,
  'grub_mbr.raw': undefined,
  'iotest-dirtylog-10G-4M.vhdx': /VHDX/,
  'iotest-dynamic-1G.vhdx': /VHDX/,
  'parallels-v1': /Parallels/,
  'simple-dmg.dmg': /DMG/,
  'virtualpc-dynamic.vhd': /VHD/,
}

t.test('files that other people made', async (t) => {
  const folder = needCorpus(t, 'images')
  if (!folder || !needTool(t, 'bzip2')) return
  const packed = readdirSync(folder)
  t.strictSame(packed.map((name) => name.replace(/\.bz2$/, '')).sort(), Object.keys(OTHERS).sort())
  for (const [name, expected] of Object.entries(OTHERS)) {
    const file = join(t.testdir(), name)
    const output = await open(file, 'w')
    await systemTools.run({ tool: 'bzip2', args: ['-dc', join(folder, `${name}.bz2`)], output })
    await output.close()
    for (const format of expected ? (['raw', 'qcow2'] as const) : []) {
      const error = {
        code: 'wrong-format',
        message: expected,
        hint: /qemu-img convert -f [a-z]+ |write format: /,
      }
      await t.rejects(examineImageFile(file, format, name), error, `${name} as ${format}`)
    }
    if (!expected) t.match(await examineImageFile(file, 'raw', name), { virtualSize: statSync(file).size })
    const packed = join(folder, `${name}.bz2`)
    await t.rejects(examineImageFile(packed, 'raw', name), { code: 'wrong-format', message: /bzip2/ })
  }
})

t.test('every format that qemu-img makes', async (t) => {
  if (!needTool(t, 'qemu-img')) return
  const folder = t.testdir()
  const made: [RegExp, string, ...string[]][] = [
    [/a qcow2 image/, 'qcow2'],
    [/qcow image of version 1/, 'qcow'],
    [/VMDK/, 'vmdk'],
    [/VMDK/, 'vmdk', '-o', 'subformat=streamOptimized'],
    [/VMware disk, whose bytes are in other files/, 'vmdk', '-o', 'subformat=monolithicFlat'],
    [/VHDX/, 'vhdx'],
    [/VHD/, 'vpc'],
    [/VHD/, 'vpc', '-o', 'subformat=fixed'],
    [/VDI/, 'vdi'],
    [/Parallels/, 'parallels'],
    [/QED/, 'qed'],
  ]
  for (const [index, [message, format, ...options]] of made.entries()) {
    const file = join(folder, `disk${index}`)
    await systemTools.run({ tool: 'qemu-img', args: ['create', '-q', '-f', format, ...options, file, '4M'] })
    const error = { code: 'wrong-format', message: `is not a raw image: it is ` }
    await t.rejects(examineImageFile(file, 'raw', 'x.img'), error)
    await t.rejects(examineImageFile(file, 'raw', 'x.img'), { message }, [format, ...options].join(' '))
  }
})

t.test('a hint is a command that works', async (t) => {
  if (!needTool(t, 'qemu-img')) return
  const folder = t.testdir()
  for (const format of ['parallels', 'qed', 'qcow']) {
    const file = join(folder, 'IMAGE')
    await systemTools.run({ tool: 'qemu-img', args: ['create', '-q', '-f', format, file, '4M'] })
    const hint = (await identifyImage(bytesOf(readFileSync(file))))?.hint as string
    const [tool, ...args] = hint.replace('convert it: ', '').split(' ')
    await systemTools.run({ tool: tool as string, args, cwd: folder })
    t.match(await examineImageFile(join(folder, 'DISK.qcow2'), 'qcow2', format), { qcow2: { version: 3 } })
  }
})

t.test('archives, and what packs a file', async (t) => {
  if (!needTools(t, 'tar', 'gzip', 'xz', 'zstd', 'bzip2', 'zip')) return
  const folder = t.testdir({ 'disk.vmdk': 'KDMV', 'box.ovf': '<Envelope/>' })
  const run = (tool: string, ...args: string[]) => systemTools.run({ tool, args, cwd: folder })
  await run('tar', '-cf', 'box.ova', '--format=ustar', 'box.ovf', 'disk.vmdk')
  await run('tar', '-cf', 'gnu.tar', '--format=gnu', 'box.ovf')
  await run('zip', '-q', 'box.zip', 'box.ovf')
  for (const tool of ['gzip', 'xz', 'zstd', 'bzip2']) await run(tool, '-k', 'disk.vmdk')
  const named: [string, RegExp][] = [
    ['box.ova', /OVA/],
    ['gnu.tar', /OVA/],
    ['box.zip', /zip/],
    ['disk.vmdk.gz', /gzip/],
    ['disk.vmdk.xz', /xz/],
    ['disk.vmdk.zst', /zstd/],
    ['disk.vmdk.bz2', /bzip2/],
  ]
  for (const [name, message] of named) {
    const error = { code: 'wrong-format', message, hint: /unpack it/ }
    await t.rejects(examineImageFile(join(folder, name), 'raw', name), error, name)
  }
})

t.test('what no tool at hand makes', async (t) => {
  t.match(await nameOf(filled(MiB, 0, 'LUKS\xba\xbe')), /LUKS/)
  t.match(await nameOf(filled(MiB, 0, 'COWD')), /VMDK/)
  t.match(await nameOf(filled(MiB, 0, '7z\xbc\xaf\x27\x1c')), /7z/)
  t.match(await nameOf(filled(MiB, 0, '\x04\x22\x4d\x18')), /lz4/)
  t.match(await nameOf(filled(MiB, 0, '#!/bin/sh\n#V2.0 Format\nmodprobe cloop file=$0')), /cloop/)
  t.match(await nameOf(filled(MiB - 1, -511, 'conectix')), /VHD/, 'with a footer of 511 bytes')
  t.match(await nameOf(filled(520, -512, 'conectix')), /VHD/, 'in a file that hardly has room')
})

/** A disk with a volume descriptor that tells of `blocks` of 2048 bytes. */
function disc(size: number, blocks: number): Buffer {
  const bytes = filled(size, 32769, 'CD001')
  bytes.writeUInt32LE(blocks, 32768 + 80)
  bytes.writeUInt16LE(2048, 32768 + 128)
  return bytes
}

t.test("an installer's disc, and a disk that once had one on it", async (t) => {
  t.match(await nameOf(disc(MiB, 512)), /ISO 9660/)
  t.match(await nameOf(disc(MiB + 300 * KiB, 512)), /ISO 9660/, 'padded, or with a partition behind it')
  t.equal(await nameOf(disc(4 * MiB, 512)), undefined, 'a stick that was installed anew later')
  t.equal(await nameOf(disc(40 * KiB, 0)), undefined)
})

t.test('an ISO is one by its own sector 16, whatever stands before it', async (t) => {
  if (!needTools(t, 'xorriso', 'mkudffs')) return
  const folder = t.testdir({ tools: { readme: 'hello' }, 'udf.iso': '', 'empty.iso': '' })
  const run = (tool: string, ...args: string[]) => systemTools.run({ tool, args, cwd: folder })
  await run('xorriso', '-as', 'mkisofs', '-quiet', '-o', 'tools.iso', 'tools')
  truncateSync(join(folder, 'udf.iso'), 2 * MiB)
  await run('mkudffs', '--media-type=dvd', '--blocksize=2048', 'udf.iso')
  const hybrid = readFileSync(join(folder, 'tools.iso'))
  hybrid.writeUInt16LE(0xaa55, 510)
  // As on discs for Windows, whose ISO 9660 has a text for those who cannot read UDF.
  const bridge = Buffer.concat([hybrid, Buffer.alloc(4 * MiB)])
  const others = { 'hybrid.iso': hybrid, 'bridge.iso': bridge, 'cut.iso': hybrid.subarray(0, 40 * KiB) }
  for (const [name, bytes] of Object.entries(others)) writeFileSync(join(folder, name), bytes)
  const examine = (name: string, format: 'iso' | 'raw') => examineImageFile(join(folder, name), format, name)
  for (const name of ['tools.iso', 'udf.iso', 'hybrid.iso', 'bridge.iso']) {
    const { size } = statSync(join(folder, name))
    t.strictSame(await examine(name, 'iso'), { format: 'iso', virtualSize: size, fileSize: size }, name)
  }
  for (const name of ['tools.iso', 'udf.iso', 'hybrid.iso'])
    await t.rejects(examine(name, 'raw'), {
      code: 'wrong-format',
      message: /a disc/,
      hint: /name it as iso:/,
    })
  await t.rejects(examine('cut.iso', 'iso'), {
    code: 'wrong-format',
    message: /^cut.iso is cut off: its volume/,
  })
  await t.rejects(examine('empty.iso', 'iso'), { code: 'wrong-format', message: /is empty/ })
  // Both a disk for QEMU and a disc for a guest: it must not be up to who looks.
  const both = Buffer.from(hybrid)
  both.write('QFI\xfb', 0, 'latin1')
  writeFileSync(join(folder, 'both.iso'), both)
  await t.rejects(examine('both.iso', 'iso'), {
    message: /it is a qcow2 image/,
    hint: /image: in place of iso:/,
  })
})

t.test('raw disks, and files that only look like something in the wrong place', async (t) => {
  t.equal(await nameOf(Buffer.alloc(0)), undefined)
  t.equal(await nameOf(Buffer.alloc(512)), undefined)
  t.equal(await nameOf(filled(MiB, 512, 'QFI\xfb')), undefined)
  t.equal(await nameOf(filled(MiB, -1024, 'conectix')), undefined)
  t.equal(await nameOf(Buffer.from('conecti')), undefined)
  const folder = t.testdir()
  for (const [size, message] of [
    [0, /is empty/],
    [1, /has 1 bytes: a raw disk has a whole number of sectors/],
    [1025, /has 1025 bytes/],
  ] as const) {
    const file = join(folder, 'disk.raw')
    writeFileSync(file, '')
    truncateSync(file, size)
    await t.rejects(examineImageFile(file, 'raw', 'disk.raw'), { code: 'wrong-format', message })
  }
})
