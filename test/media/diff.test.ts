/** Small images that differ in one known way, and what is said of them. */
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import { KeyvisorError } from '../../src/base/errors.js'
import { systemTools, type ToolRunner } from '../../src/base/tool.js'
import { type Difference, firstDifference } from '../../src/media/compare.js'
import { diffImages } from '../../src/media/diff.js'
import type { PayloadName } from '../../src/stick/partitions.js'
import { assemble, type Contents, makePayloads, oldLibrary, run, TOOLS } from '../support/images.js'
import { type Change, holds, noise, readOrRefused, changed as withChanges } from '../support/property.js'
import { cramped, needTools, ODD_NAME } from '../support/tools.js'

/** Bytes of the superblock (kernel: Documentation/filesystems/squashfs.rst, 2.1). */
const SQUASHFS_SUPERBLOCK = 96

const QCOW2 = `${'ab'.repeat(32)}.qcow2`
const status = (bash: string) =>
  `Package: bash\nStatus: install ok installed\nVersion: ${bash}\n\nPackage: vim\nVersion: 9.0\n`

const CONTENTS: Contents = {
  root: { 'etc/motd': 'welcome\n', 'etc/a name': 'x', 'var/lib/dpkg/status': status('5.2.15') },
  library: { 'guests.json': '{"guests": []}', [QCOW2]: 'a disk of some guest' },
}

/** A machine without tools. */
const nothing: ToolRunner = {
  argv: () => [],
  run: () => Promise.reject(new KeyvisorError('tool-missing', 'unsquashfs is not on this machine')),
}

t.test('the first byte that differs', async (t) => {
  const side = (text: string) => ({
    size: text.length,
    read: async (at: number, length: number) => Buffer.from(text).subarray(at, at + length),
  })
  const cases: [string, string, number | null][] = [
    ['', '', null],
    ['same', 'same', null],
    ['same', 'sane', 2],
    ['same', 'same and more', 4],
    ['', 'more', 0],
  ]
  for (const [a, b, at] of cases) t.equal(await firstDifference(side(a), side(b)), at, `${a} ${b}`)
  const long = 'x'.repeat(9 << 20)
  t.equal(await firstDifference(side(long), side(`${long.slice(0, -1)}y`)), long.length - 1)
})

t.test('images', async (t) => {
  if (!needTools(t, ...TOOLS, 'unsquashfs', 'prlimit', 'mdel')) return
  const folder = t.testdir()
  const path = (name: string) => join(folder, name)
  const diff = (a: string, b: string, tools: ToolRunner = systemTools) =>
    diffImages(a, b, { tools, scratch: mkdtempSync(path('scratch-')) })
  const make = async (name: string, contents: Contents) => {
    mkdirSync(path(name))
    return makePayloads(path(name), contents)
  }
  const base = await make('base', CONTENTS)
  await assemble(path('a.img'), base)

  /** What differs when one payload is another one: layout and GUIDs left aside. */
  const changed = async (name: PayloadName, payload: string) => {
    await assemble(path('b.img'), { ...base, [name]: payload })
    const { same, differences, notes } = await diff(path('a.img'), path('b.img'))
    t.notOk(same)
    return { notes, differences: differences.filter(({ part }) => part !== 'layout') }
  }
  const named = (differences: Difference[]) => differences.map(({ part, item, field }) => [part, item, field])

  await t.test('the same bytes', async (t) => {
    copyFileSync(path('a.img'), path('b.img'))
    t.match(await diff(path('a.img'), path('b.img')), { same: true, differences: [], notes: [] })
  })

  await t.test('one file of the root, and a package', async (t) => {
    const root = { 'etc/motd': 'welcone\n', 'etc/new': 'new', 'var/lib/dpkg/status': status('5.2.37') }
    const { differences } = await changed('root', (await make('root', { root })).root)
    const found = differences.filter(({ field }) => field !== 'time')
    t.match(found, [
      { part: 'packages of the host', item: 'bash', a: '5.2.15', b: '5.2.37', at: null },
      { part: 'root-a', item: '/etc/a name', field: '', a: { size: 1 }, b: null },
      { part: 'root-a', item: '/etc/motd', field: 'bytes', a: 8, b: 8, at: 5 },
      { part: 'root-a', item: '/etc/new', field: '', a: null, b: { kind: 'file', size: 3 } },
      { part: 'root-a', item: '/var/lib/dpkg/status', field: 'bytes' },
    ])
    t.equal(found.length, 5)
  })

  await t.test("a guest's disk, and what the library says", async (t) => {
    const library = { 'guests.json': '{"guests": [1]}', [QCOW2]: 'a disk of some guess' }
    const { differences, notes } = await changed('library', (await make('library', { library })).library)
    t.strictSame(named(differences), [
      ['library', `/${QCOW2}`, 'bytes'],
      ['library', '/guests.json', 'bytes'],
    ])
    t.equal(differences[0]?.at, 19)
    t.match(notes, [/^packages of guests were not compared/])

    const odd = path(ODD_NAME)
    mkdirSync(odd)
    for (const name of ['a.img', 'b.img']) copyFileSync(path(name), join(odd, name))
    const request = { tools: systemTools, scratch: mkdtempSync(join(odd, 'scratch-')) }
    const oddly = await diffImages(join(odd, 'a.img'), join(odd, 'b.img'), request)
    t.strictSame(named(oddly.differences.filter(({ part }) => part === 'library')), named(differences))

    const without = await diff(path('a.img'), path('b.img'), nothing)
    t.strictSame(
      without.differences,
      (await diff(path('a.img'), path('b.img'))).differences,
      'without a tool',
    )
  })

  await t.test('a library that is damaged', async (t) => {
    const library = path('damaged.library')
    const bytes = readFileSync(base.library)
    // "i_format" of the first file, whose inode is the second: block 1 begins with the folder's, of 64 bytes.
    bytes.writeUInt16LE(7, 4096 + 64)
    writeFileSync(library, bytes)
    const { differences, notes } = await changed('library', library)
    t.strictSame(named(differences), [['library', '', 'bytes']])
    t.match(
      notes[0],
      /^the files of library were not compared: the library cannot be read: its inode \d+ has format 7$/,
    )
  })

  await t.test('a library that is of another kind', async (t) => {
    const { differences, notes } = await changed('library', await oldLibrary(path('old.library')))
    t.match(named(differences), [['library', '', 'bytes']])
    t.match(notes, [/^packages of guests were not compared/])
  })

  await t.test('the boot partition', async (t) => {
    const esp = path('esp')
    copyFileSync(base.esp, esp)
    writeFileSync(path('grub.cfg'), 'set timeout=0\n')
    await run('mcopy', '-i', esp, path('grub.cfg'), '::/grub.cfg')
    const { differences } = await changed('esp', esp)
    t.strictSame(differences, [
      { part: 'esp', item: '/grub.cfg', field: '', a: null, b: { size: 14 }, at: null },
    ])
    await run('mdel', '-i', esp, '::/keyvisor/manifest.json')
    writeFileSync(path('manifest'), JSON.stringify({ name: 'other', dataMinimum: 67108864 }))
    await run('mcopy', '-i', esp, path('manifest'), '::/keyvisor/manifest.json')
    const manifest = (await changed('esp', esp)).differences.filter(({ part }) => part === 'manifest')
    t.strictSame(manifest, [{ part: 'manifest', item: 'name', field: '', a: 'demo', b: 'other', at: null }])
  })

  await t.test('the layout: GUIDs and places', async (t) => {
    const larger = path('larger')
    writeFileSync(larger, Buffer.concat([readFileSync(base.library), Buffer.alloc(4 << 20)]))
    await assemble(path('b.img'), { ...base, library: larger })
    const { differences } = await diff(path('a.img'), path('b.img'))
    const layout = differences.filter(({ part }) => part === 'layout').map(({ item }) => item)
    for (const item of ['sectors', 'partitions.library.last']) t.ok(layout.includes(item), item)
  })

  await t.test('bytes that belong to no file', async (t) => {
    const bytes = readFileSync(path('a.img'))
    const flip = async (at: number) => {
      const copy = Buffer.from(bytes)
      copy[at] = (copy[at] as number) ^ 1
      writeFileSync(path('b.img'), copy)
      return (await diff(path('a.img'), path('b.img'))).differences
    }
    t.match(await flip(100), [{ part: 'boot code', field: 'bytes', at: 100 }])
    t.match(await flip(462), [{ part: 'boot code', field: 'bytes', at: 462 }], 'the active record')
    t.match(await flip(40 * 512), [{ part: 'image', field: 'bytes', at: 40 * 512 }], 'a gap')
    t.match(await flip(1024 * 1024 + 20), [{ part: 'bios-boot', field: 'bytes', at: 20 }])
  })

  await t.test('what cannot be looked into is told by its first byte, and why', async (t) => {
    await assemble(path('b.img'), { ...base, root: (await make('other', { root: { x: 'x' } })).root })
    const { differences, notes } = await diff(path('a.img'), path('b.img'), nothing)
    t.match(
      differences.filter(({ part }) => part === 'root-a'),
      [{ item: '', field: 'bytes', at: Number }],
    )
    t.match(notes, ['the files of root-a were not compared: unsquashfs is not on this machine'])
    const full = await diff(path('a.img'), path('b.img'), cramped(0))
    t.match(full.notes, [/^the files of root-a were not compared: /])
    t.strictSame(full.differences, differences, 'where there is no room for its files')
  })

  await t.test('no file stays open where the other root is damaged', async (t) => {
    // A file that nobody closed is either open still, or was closed by the garbage collector, which says so.
    const warnings: string[] = []
    const onWarning = ({ message }: Error) => warnings.push(message)
    process.on('warning', onWarning)
    t.teardown(() => process.off('warning', onWarning))
    const root = path('damaged.squashfs')
    writeFileSync(root, readFileSync(base.root).fill(0x5a, SQUASHFS_SUPERBLOCK))
    t.match((await changed('root', root)).notes, [/^the files of root-a were not compared: /])
    // The folder's own descriptor is gone when its list is read.
    const descriptors = readdirSync('/proc/self/fd').map((fd) => `/proc/self/fd/${fd}`)
    const open = descriptors.filter((fd) => existsSync(fd)).map((fd) => readlinkSync(fd))
    t.ok(open.length > 0)
    await new Promise(setImmediate)
    t.notMatch(warnings.join('\n'), /garbage collection/)
    t.strictSame(
      open.filter((file) => file.startsWith(folder)),
      [],
    )
  })

  await t.test('noise ends in a report or an error for people', async (t) => {
    const bytes = readFileSync(path('a.img'))
    const isTold = async (changes: Change[]) => {
      const copy = withChanges(bytes, changes)
      writeFileSync(path('b.img'), copy)
      const found = await readOrRefused(() => diff(path('a.img'), path('b.img')))
      return found?.same !== true || copy.equals(bytes)
    }
    const start = 2048 * 512
    await holds(t, 8, fc.asyncProperty(noise(start, start + (48 << 20), 20), isTold))
  })
})

t.test('manifests', async (t) => {
  const manifest = (version: string, guests: Record<string, string>, rest: object = {}) => ({
    name: 'demo',
    guests: Object.keys(guests).map((name) => ({ name, cpus: { min: 1 } })),
    packages: {
      host: [{ name: 'bash', version, architecture: 'amd64' }],
      guests: Object.fromEntries(
        Object.entries(guests).map(([name, v]) => [name, [{ name: 'vim', version: v }]]),
      ),
    },
    ...rest,
  })
  const folder = t.testdir({
    'a.json': JSON.stringify(manifest('5.2.15', { box: '9.0', gone: '1' })),
    'b.json': JSON.stringify(manifest('5.2.37', { box: '9.1' })),
    'same.json': JSON.stringify(manifest('5.2.15', { gone: '1', box: '9.0' }), null, 2),
    'odd.json': '{"packages": {"host": 7, "guests": [null]}, "guests": {"name": {}}}',
    'broken.json': '{"name": ',
  })
  const diff = (a: string, b: string) =>
    diffImages(join(folder, a), join(folder, b), { tools: systemTools, scratch: folder })
  const { same, differences } = await diff('a.json', 'b.json')
  t.notOk(same)
  t.strictSame(
    differences.map(({ part, item, a, b }) => [part, item, a, b]),
    [
      ['manifest', 'guests.gone', { name: 'gone', cpus: { min: 1 } }, null],
      ['packages of the host', 'bash', '5.2.15', '5.2.37'],
      ['packages of guest box', 'vim', '9.0', '9.1'],
    ],
  )
  t.ok((await diff('a.json', 'same.json')).same, 'whatever the order and the blanks')
  t.notOk((await diff('a.json', 'odd.json')).same)
  await t.rejects(diff('a.json', 'broken.json'), {
    code: 'not-a-manifest',
    hint: /name an image or a manifest/,
  })
  await t.rejects(diff('a.json', 'absent.img'), { code: 'no-such-file' })
})
