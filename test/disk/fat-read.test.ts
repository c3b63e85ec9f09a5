/** Volumes made by other people's tools, read by our own code; then damaged ones. */
import { mkdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import type { KeyvisorError } from '../../src/base/errors.js'
import { systemTools } from '../../src/base/tool.js'
import { MiB } from '../../src/base/units.js'
import { piecesReader, readFat } from '../../src/disk/fat-read.js'
import type { ReadAt } from '../../src/disk/gpt.js'
import { type Change, changed, holds, noise, readOrRefused } from '../support/property.js'
import { needTools } from '../support/tools.js'

const run = (tool: string, ...args: string[]) =>
  systemTools.run({ tool, args, env: { MTOOLS_SKIP_CHECK: '1' } })
const readerOf =
  (bytes: Buffer): ReadAt =>
  async (offset, length) =>
    bytes.subarray(offset, offset + length)

/** Files of many shapes: long names, folders, none, one cluster, many, and one in two places. */
const FILES: Record<string, Buffer> = {
  '/EFI/BOOT/BOOTX64.EFI': Buffer.alloc(70_000, 'shim'),
  '/EFI/debian/grub.cfg': Buffer.from('set timeout=0\n'),
  '/a long name with blanks and äöü.text': Buffer.from('long'),
  '/empty': Buffer.alloc(0),
  '/SHORT.TXT': Buffer.alloc(512, 's'),
}

async function volume(t: Test): Promise<Buffer> {
  const folder = t.testdir()
  const image = join(folder, 'fat')
  writeFileSync(image, '')
  truncateSync(image, 34 * MiB)
  await run(
    'mformat',
    '-F',
    '-c',
    '1',
    '-T',
    String((34 * MiB) / 512),
    '-h',
    '16',
    '-s',
    '63',
    '-N',
    '0a1b2c3d',
    '-v',
    'KEYVISOR',
    '-i',
    image,
    '::',
  )
  await run('mmd', '-i', image, '::/EFI', '::/EFI/BOOT', '::/EFI/debian')
  mkdirSync(join(folder, 'files'))
  const copy = async (path: string, bytes: Buffer) => {
    writeFileSync(join(folder, 'files/file'), bytes)
    await run('mcopy', '-i', image, join(folder, 'files/file'), `::${path}`)
  }
  const [[first, long], ...others] = Object.entries(FILES) as [[string, Buffer], ...[string, Buffer][]]
  // Two gaps, neither of which holds the first file, and nothing else is free: it has to be in both.
  await copy('/GAP1', Buffer.alloc(50_000))
  for (const [path, bytes] of others) await copy(path, bytes)
  await copy('/GAP2', Buffer.alloc(50_000))
  const { stdout } = await run('mdir', '-i', image, '::')
  const free = Number(/([\d ]+) bytes free/.exec(stdout)?.[1]?.replaceAll(' ', ''))
  await copy('/REST', Buffer.alloc(free))
  await run('mdel', '-i', image, '::/GAP1', '::/GAP2')
  await copy(first, long)
  await run('mdel', '-i', image, '::/REST')
  return readFileSync(image)
}

t.test('a volume of mtools', async (t) => {
  if (!needTools(t, 'mformat', 'mmd', 'mcopy')) return
  const bytes = await volume(t)
  const read = readerOf(bytes)
  const { label, serial, files } = await readFat(read)
  t.equal(label, 'KEYVISOR')
  t.equal(serial, '0a1b2c3d')
  t.strictSame(
    files.map(({ path, size }) => [path, size]),
    Object.entries(FILES)
      .map(([path, content]) => [path, content.length])
      .sort(([a = ''], [b = '']) => (a < b ? -1 : 1)),
  )
  for (const { path, size, pieces } of files) {
    const reader = piecesReader(read, pieces)
    t.ok((await reader(0, size)).equals(FILES[path] as Buffer), path)
    t.ok((await reader(3, 700)).equals((FILES[path] as Buffer).subarray(3, 703)), `${path}, a part`)
  }
  t.ok(files.some(({ pieces }) => pieces.length > 1))

  t.test('noise ends in files or in an error for people', async (t) => {
    const start = Buffer.from(bytes.subarray(0, 2 * MiB))
    const outcomes = { read: 0, refused: 0 }
    const readNoise = async (changes: Change[]) => {
      changed(start, changes).copy(bytes)
      const found = await readOrRefused(() => readFat(readerOf(bytes)))
      outcomes[found ? 'read' : 'refused']++
    }
    const either = fc.oneof(noise(0, 96, 8), noise(0, start.length, 100))
    await holds(t, 300, fc.asyncProperty(either, readNoise))
    start.copy(bytes)
    t.ok(outcomes.read > 10 && outcomes.refused > 10, JSON.stringify(outcomes))
  })

  t.test('a chain that goes round in a circle, and folders without end', async (t) => {
    const copy = Buffer.from(bytes)
    const table = copy.readUInt16LE(14) * copy.readUInt16LE(11)
    copy.writeUInt32LE(2, table + 2 * 4)
    const found = await readFat(readerOf(copy)).catch((error: KeyvisorError) => error)
    t.ok('files' in found || found.code === 'fat-damaged')
  })
})

t.test('what is no FAT32', async (t) => {
  for (const bytes of [Buffer.alloc(512), Buffer.alloc(512, 0xff), Buffer.alloc(10)])
    await t.rejects(readFat(readerOf(bytes)), { name: 'KeyvisorError' })
})

t.test('a file that lies in pieces is read as one', async (t) => {
  const read = readerOf(Buffer.from('..abc....defgh..ij'))
  const reader = piecesReader(read, [
    { offset: 2, length: 3 },
    { offset: 9, length: 5 },
    { offset: 16, length: 2 },
  ])
  const texts: [number, number][] = [
    [0, 10],
    [2, 2],
    [3, 5],
    [7, 99],
    [10, 1],
  ]
  const found = await Promise.all(texts.map(async ([at, length]) => String(await reader(at, length))))
  t.strictSame(found, ['abcdefghij', 'cd', 'defgh', 'hij', ''])
})
