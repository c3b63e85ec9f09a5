/** The library on an image: bases of the user's as they are, and what becomes of them while a build reads them. */
import {
  closeSync,
  copyFileSync,
  existsSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { sha256 } from '../../src/base/digests.js'
import { systemTools } from '../../src/base/tool.js'
import { type Bytes, KiB, MiB } from '../../src/base/units.js'
import { readErofs } from '../../src/disk/erofs.js'
import { fileReader } from '../../src/disk/file-reader.js'
import { partitionBytes } from '../../src/stick/layout.js'
import {
  baseOf,
  bytesAt,
  fileSystemOf,
  type LibraryBench,
  libraryBench,
  startOf,
  writeIso,
} from '../support/assembly.js'
import { takeFromLibrary } from '../support/library.js'
import { needTools } from '../support/tools.js'

const run = (tool: string, ...args: string[]) => systemTools.run({ tool, args })

/** A qcow2 of some MiB. */
async function writeQcow2(path: string, word: string, ...options: string[]): Promise<void> {
  writeFileSync(`${path}.raw`, Buffer.alloc(3 * MiB, word))
  truncateSync(`${path}.raw`, 16 * MiB)
  await run('qemu-img', 'convert', '-f', 'raw', '-O', 'qcow2', ...options, `${path}.raw`, path)
}

/** The library's partition as a file. */
async function partition({ image, parts, folder }: LibraryBench): Promise<string> {
  const path = join(folder, 'library.part')
  const found = parts.layout.partitions.find(({ name }) => name === 'library')
  if (!found) throw new Error('BUG: the layout has no library')
  writeFileSync(path, await bytesAt(image, startOf(parts.layout, 'library'), partitionBytes(found)))
  return path
}

t.test("the user's files stand where the file system says, and the tree covers them", async (t) => {
  if (!needTools(t, 'qemu-img', 'prlimit', 'veritysetup', 'fsck.erofs')) return
  const folder = t.testdir()
  const path = (name: string) => join(folder, name)
  await writeQcow2(path('one.qcow2'), 'one')
  await writeQcow2(path('two.qcow2'), 'two', '-o', 'cluster_size=512')
  writeIso(path('tools.iso'), 100 * KiB + 2048)
  writeFileSync(path('made'), Buffer.alloc(5000, 'made'))
  const bases = [
    await baseOf(path('one.qcow2'), 'qcow2'),
    await baseOf(path('two.qcow2'), 'qcow2'),
    await baseOf(path('tools.iso'), 'iso'),
    await baseOf(path('made'), null),
  ]
  const all = await libraryBench(folder, bases)
  const { parts, image } = all
  await all.write()
  const { facts } = parts.library
  const at = startOf(parts.layout, 'library')
  t.equal(facts.files.length, 4)
  for (const { sha256: digest, size, offset } of facts.files) {
    const found = await bytesAt(image, at + offset, size)
    t.equal(sha256(found), digest)
    t.ok(found.equals(readFileSync(bases.find((base) => base.sha256 === digest)?.path as string)))
  }
  const library = await partition(all)
  t.ok(readFileSync(library).subarray(0, facts.offset).equals(fileSystemOf(parts)))
  const verify = ['verify', `--hash-offset=${facts.offset}`, library, library, facts.rootHash]
  await t.resolves(run('veritysetup', ...verify))
  const { stdout } = await run('veritysetup', 'dump', `--hash-offset=${facts.offset}`, library)
  t.match(stdout, new RegExp(`UUID: +\\t${facts.treeUuid}`))
  t.match(stdout, new RegExp(`Data blocks: +\\t${facts.offset / 4096}$`, 'm'))
  const out = path('extracted')
  const said = await run('fsck.erofs', `--extract=${out}`, library)
  t.notMatch(said.stdout + said.stderr, '<E>')
  t.strictSame(
    readdirSync(out).sort(),
    ['guests.json', ...facts.files.map(({ sha256 }) => `${sha256}.qcow2`)].sort(),
  )
  await takeFromLibrary(image, at, `${bases[0]?.sha256}.qcow2`, path('taken'))
  t.ok(readFileSync(path('taken')).equals(readFileSync(path('one.qcow2'))))
  const file = await open(image)
  const read = fileReader(file)
  const names = (await readErofs((offset, length) => read(at + offset, length))).map(({ name }) => name)
  await file.close()
  t.strictSame(names.sort(), readdirSync(out).sort())
})

t.test('two guests with one base have it once', async (t) => {
  const folder = t.testdir()
  writeIso(join(folder, 'a.iso'), 300 * KiB)
  copyFileSync(join(folder, 'a.iso'), join(folder, 'b.iso'))
  const bases = [await baseOf(join(folder, 'a.iso'), 'iso'), await baseOf(join(folder, 'b.iso'), 'iso')]
  const { parts, write } = await libraryBench(folder, bases)
  await write()
  t.equal(parts.library.facts.files.length, 1)
})

t.test('a file that is not the one of the lock leaves no image, and an older one as it was', async (t) => {
  const folder = t.testdir()
  const path = join(folder, 'tools.iso')
  writeIso(path, 5 * MiB)
  const all = await libraryBench(folder, [await baseOf(path, 'iso')])
  const before = readFileSync(path)
  const others: Record<string, () => void> = {
    longer: () => writeFileSync(path, Buffer.concat([before, Buffer.alloc(4096)])),
    'longer by a byte': () => writeFileSync(path, Buffer.concat([before, Buffer.alloc(1)])),
    'much longer, by a hole': () => truncateSync(path, 64 * 1024 * MiB),
    shorter: () => writeFileSync(path, before.subarray(0, -1)),
    empty: () => writeFileSync(path, ''),
    different: () => writeFileSync(path, Buffer.concat([before.subarray(0, -1), Buffer.of(1)])),
  }
  const error = { code: 'image-changed', message: path, hint: /--update/ }
  for (const [what, change] of Object.entries(others)) {
    change()
    await t.rejects(all.write(), error, what)
    t.strictSame(readdirSync(join(folder, 'out')), [], 'no file')
    writeFileSync(all.image, 'older')
    await t.rejects(all.write(), error)
    t.strictSame(readdirSync(join(folder, 'out')), ['demo.img'])
    t.equal(readFileSync(all.image, 'utf8'), 'older')
    rmSync(all.image)
    writeFileSync(path, before)
  }
  await t.resolves(all.write(), 'and as it was locked it is taken')
  rmSync(path)
  await t.rejects(all.write(), { code: 'ENOENT' })
})

t.test('a damaged image is refused where it stands', async (t) => {
  if (!needTools(t, 'qemu-img', 'prlimit')) return
  const folder = t.testdir()
  const path = join(folder, 'box.qcow2')
  await writeQcow2(path, 'box')
  const bytes = readFileSync(path)
  // "refcount_table_offset" is at byte 48; its first entry names the first refcount block.
  const block = Number(bytes.readBigUInt64BE(Number(bytes.readBigUInt64BE(48))))
  writeFileSync(path, bytes.fill(0, block, block + 64))
  const all = await libraryBench(folder, [await baseOf(path, 'qcow2')])
  await t.rejects(all.write(), { code: 'image-damaged', message: path, hint: /qemu-img check/ })
  t.strictSame(readdirSync(join(folder, 'out')), [])
})

// ------------------------------------------------------------------------------------ while it is read

const MOMENTS = 20
const SIZE: Bytes = 100 * MiB

/** What a user may do to a file, and how a test puts it back. */
const CHANGES: Record<string, (path: string, moment: number) => () => void> = {
  'appended to': (path) => {
    writeFileSync(path, 'more', { flag: 'a' })
    return () => truncateSync(path, SIZE)
  },
  overwritten: (path, moment) => {
    // Before, at and behind what is being read.
    const at = ((moment * 37) % 100) * MiB + 12_345
    const file = openSync(path, 'r+')
    const before = Buffer.alloc(8)
    readSync(file, before, 0, 8, at)
    writeSync(file, Buffer.from('changed!'), 0, 8, at)
    closeSync(file)
    return () => {
      const file = openSync(path, 'r+')
      writeSync(file, before, 0, 8, at)
      closeSync(file)
    }
  },
  truncated: (path, moment) => {
    copyFileSync(path, `${path}.kept`)
    truncateSync(path, SIZE - moment * 4 * MiB)
    return () => renameSync(`${path}.kept`, path)
  },
  'replaced by another': (path) => {
    renameSync(path, `${path}.kept`)
    writeIso(path, SIZE, 2)
    return () => renameSync(`${path}.kept`, path)
  },
}

for (const [what, change] of Object.entries(CHANGES)) {
  t.test(`a file that is ${what} while it is copied`, async (t) => {
    const folder = t.testdir()
    const path = join(folder, 'tools.iso')
    writeIso(path, SIZE)
    const base = await baseOf(path, 'iso')
    const all = await libraryBench(folder, [base])
    let before = 0
    const sizes: Bytes[] = []
    await all.write((bytes) => void sizes.push(bytes))
    before = sizes.indexOf(4 * MiB)
    t.ok(sizes.filter((bytes) => bytes === 4 * MiB).length >= MOMENTS, 'it comes in enough pieces')
    rmSync(all.image)
    const counts = { whole: 0, refused: 0 }
    for (let moment = 0; moment < MOMENTS; moment++) {
      let call = 0
      let undo = () => {}
      const error = await all
        .write(() => {
          if (call++ === before + moment) undo = change(path, moment)
        })
        .then(
          () => undefined,
          (error) => error,
        )
      undo()
      if (error) {
        counts.refused++
        if (error.code !== 'image-changed') t.fail(`moment ${moment}: ${error}`)
        if (existsSync(all.image)) t.fail(`moment ${moment}: an image is there`)
      } else {
        counts.whole++
        await isLocked(t, all, moment)
        rmSync(all.image)
      }
      const left = readdirSync(join(folder, 'out'))
      if (left.length > 0) t.fail(`moment ${moment}: ${left} is left`)
    }
    t.equal(counts.whole + counts.refused, MOMENTS, `${counts.whole} whole, ${counts.refused} refused`)
    if (what === 'replaced by another') t.equal(counts.refused, 0, 'the file that was opened is the one')
    if (what === 'appended to') t.equal(counts.whole, 0)
  })
}

async function isLocked(t: Test, { image, parts }: LibraryBench, moment: number): Promise<void> {
  const { facts } = parts.library
  for (const { sha256: digest, size, offset } of facts.files) {
    const found = await bytesAt(image, startOf(parts.layout, 'library') + offset, size)
    if (sha256(found) !== digest) t.fail(`moment ${moment}: other bytes are on the image`)
  }
}
