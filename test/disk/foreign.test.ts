/** The gates of other hypervisors' disks: what qemu-img and other people made, what is damaged, and what names other files. */
import { existsSync, readFileSync, renameSync, truncateSync, writeFileSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { KeyvisorError } from '../../src/base/errors.js'
import { systemTools } from '../../src/base/tool.js'
import { GiB, MiB } from '../../src/base/units.js'
import { examineImage, type ImageFormat } from '../../src/disk/image.js'
import { examineImageFile, imageFilesOf } from '../../src/disk/image-file.js'
import { formatOf } from '../../src/sources/image/file.js'
import { holds } from '../support/property.js'
import { needCorpus, needTools } from '../support/tools.js'

const run = (tool: string, ...args: string[]) => systemTools.run({ tool, args })
const examined = (path: string, format: ImageFormat = formatOf(path, undefined)) =>
  examineImageFile(path, format, 'DISK')

/** Each with what qemu-img calls it. */
const MADE: [name: string, driver: string, ...options: string[]][] = [
  ['sparse.vmdk', 'vmdk'],
  ['stream.vmdk', 'vmdk', '-o', 'subformat=streamOptimized'],
  ['dynamic.vhdx', 'vhdx'],
  ['fixed.vhdx', 'vhdx', '-o', 'subformat=fixed'],
  ['dynamic.vhd', 'vpc', '-o', 'force_size=on'],
  ['fixed.vhd', 'vpc', '-o', 'subformat=fixed,force_size=on'],
  ['dynamic.vdi', 'vdi'],
  ['static.vdi', 'vdi', '-o', 'static=on'],
]

async function make(folder: string, name: string, driver: string, options: string[]): Promise<string> {
  const [raw, path] = [join(folder, 'raw'), join(folder, name)]
  if (!existsSync(raw)) {
    writeFileSync(raw, Buffer.alloc(MiB, 'a disk'))
    truncateSync(raw, 24 * MiB)
  }
  await run('qemu-img', 'convert', '-f', 'raw', '-O', driver, ...options, raw, path)
  return path
}

t.test('disks that qemu-img makes are taken, with their sizes', async (t) => {
  if (!needTools(t, 'qemu-img')) return
  const folder = t.testdir()
  for (const [name, driver, ...options] of MADE) {
    const path = await make(folder, name, driver, options)
    t.match(await examined(path), { virtualSize: 24 * MiB, format: formatOf(name, undefined) }, name)
    truncateSync(path, 1000)
    await t.rejects(examined(path), { code: /^(disk-damaged|wrong-format)$/ }, `${name}, cut`)
  }
})

/** What of them is taken, and its size; else why not. */
const OTHERS: Record<string, [ImageFormat, number | string, RegExp?]> = {
  'iotest-dynamic-1G.vhdx': ['vhdx', GiB],
  'iotest-dirtylog-10G-4M.vhdx': ['vhdx', 10 * GiB],
  'd2v-zerofilled.vhd': ['vhd', 263_454_720],
  'virtualpc-dynamic.vhd': ['vhd', 136_365_211_648],
  'afl9.vmdk': ['vmdk', 'disk-damaged', /copied as text/],
  'afl5.img': ['vhd', 'disk-damaged'],
}

t.test('disks that other people made', async (t) => {
  const corpus = needCorpus(t, 'images')
  if (!corpus || !needTools(t, 'bzip2')) return
  const folder = t.testdir()
  for (const [name, [format, expected, message]] of Object.entries(OTHERS)) {
    const path = join(folder, name)
    const output = await open(path, 'w')
    await systemTools.run({ tool: 'bzip2', args: ['-dc', join(corpus, `${name}.bz2`)], output })
    await output.close()
    if (typeof expected === 'number')
      t.match(
        await examined(path, format),
        { virtualSize: expected, dirtyLog: format === 'vhdx' ? /dirtylog/.test(name) : undefined },
        name,
      )
    else await t.rejects(examined(path, format), { code: expected, ...(message && { message }) }, name)
  }
})

t.test('what names other files, or is a part of a disk', async (t) => {
  if (!needTools(t, 'qemu-img')) return
  const folder = t.testdir()
  const needsFile = async (name: string, path: string) =>
    t.rejects(examined(path), { code: 'image-needs-file' }, name)
  const vmdk = await make(folder, 'sparse.vmdk', 'vmdk', [])
  const bytes = readFileSync(vmdk)
  /** The same with another descriptor, or another header. */
  const changed = (change: (copy: Buffer) => void) => {
    const copy = Buffer.from(bytes)
    change(copy)
    writeFileSync(vmdk, copy)
  }
  const described = (from: RegExp, to: string) =>
    changed((copy) => {
      const text = copy.toString('latin1', 512, 512 + 20 * 512).replace(/\0.*$/s, '')
      copy.fill(0, 512, 512 + 20 * 512)
      copy.write(text.replace(from, to), 512, 'latin1')
    })
  described(/(RW \d+) SPARSE "[^"]*"/, '$1 FLAT "/etc/passwd" 0')
  await needsFile('a file of the host as an extent', vmdk)
  described(/(RW .*)\n/, '$1\nRW 2048 SPARSE "/dev/sda"\n')
  await needsFile('one extent more', vmdk)
  described(/parentCID=ffffffff/, 'parentCID=12345678')
  await needsFile('a parent', vmdk)
  described(/CID=/, 'parentFileNameHint="/etc/shadow"\nCID=')
  await needsFile("a parent's name", vmdk)
  described(/createType="\w+"/, 'createType="monolithicFlat"')
  await needsFile('another type', vmdk)
  changed((copy) => copy.fill(0, 12, 20))
  await needsFile('a capacity of 0, which makes QEMU take the description for the whole', vmdk)

  const base = await make(folder, 'base.vhd', 'vpc', ['-o', 'force_size=on'])
  const vhd = readFileSync(base)
  vhd.writeUInt32BE(4, vhd.length - 512 + 60)
  vhd.writeUInt32BE(0, vhd.length - 512 + 64)
  const sum = vhd.subarray(vhd.length - 512).reduce((all, byte) => all + byte, 0)
  vhd.writeUInt32BE(~sum >>> 0, vhd.length - 512 + 64)
  writeFileSync(base, vhd)
  await needsFile('a differencing VHD', base)

  const vdi = await make(folder, 'diff.vdi', 'vdi', [])
  const differencing = readFileSync(vdi)
  differencing.writeUInt32LE(4, 76)
  writeFileSync(vdi, differencing)
  await needsFile('a differencing VDI', vdi)
})

t.test('a disk in parts', async (t) => {
  if (!needTools(t, 'qemu-img')) return
  const folder = t.testdir()
  const path = await make(folder, 'split.vmdk', 'vmdk', ['-o', 'subformat=twoGbMaxExtentSparse'])
  const extent = join(folder, 'split-s001.vmdk')
  t.match(await examined(path), { virtualSize: 24 * MiB })
  t.strictSame(await imageFilesOf(path, 'vmdk', path), [path, extent])
  await t.rejects(examined(extent), { code: 'image-needs-file' }, 'an extent alone')
  const text = readFileSync(path, 'latin1')
  const named = async (file: string) => {
    writeFileSync(path, text.replace('split-s001.vmdk', file))
    await t.rejects(examined(path), { code: 'image-needs-file', message: /names/ }, file)
  }
  for (const file of ['/etc/passwd', '../raw', 'nbd:127.0.0.1:1', 'json:{}', '..', '', 'a\\b'])
    await named(file)
  writeFileSync(path, text)
  truncateSync(extent, 100)
  await t.rejects(examined(path), { code: 'disk-damaged', message: /split-s001/ })
  renameSync(extent, `${extent}.away`)
  await t.rejects(examined(path), {
    code: 'image-needs-file',
    message: /split-s001\.vmdk, which cannot be read/,
  })
  const flat = await make(folder, 'flat.vmdk', 'vmdk', ['-o', 'subformat=monolithicFlat'])
  truncateSync(join(folder, 'flat-flat.vmdk'), 23 * MiB)
  await t.rejects(examined(flat), { code: 'disk-damaged', message: /flat-flat\.vmdk .*cut off/ })
})

/** Only what a user can mend may come of it, in a moment. */
t.test('damaged headers end in an answer', async (t) => {
  if (!needTools(t, 'qemu-img')) return
  const folder = t.testdir()
  for (const [name, driver, ...options] of MADE) {
    if (name.startsWith('fixed') || name.startsWith('static')) continue
    const whole = readFileSync(await make(folder, name, driver, options))
    await property(t, name, whole)
  }
})

/** Where the headers of all of them are. */
const HEADERS = [
  [0, 4096],
  [64 * 1024, 512],
  [192 * 1024, 512],
  [MiB, 70_000],
] as const

async function property(t: Test, name: string, whole: Buffer): Promise<void> {
  const flips = fc.array(fc.tuple(fc.constantFrom(...HEADERS), fc.nat(), fc.integer({ min: 0, max: 255 })), {
    minLength: 1,
    maxLength: 5,
  })
  await holds(
    t,
    300,
    fc.asyncProperty(flips, async (changes) => {
      const copy = Buffer.from(whole.subarray(0, 4 * MiB))
      for (const [[at, length], step, byte] of changes) {
        const place = at + (step % length)
        if (place < copy.length) copy[place] = byte
      }
      const read = async (offset: number, length: number) => copy.subarray(offset, offset + length)
      try {
        await examineImage({ size: copy.length, read }, formatOf(name, undefined), name)
      } catch (error) {
        if (!(error instanceof KeyvisorError)) throw error
      }
    }),
  )
}
