/** Blocks that an image has in common with the one before it, where the file system can share them. */
import {
  closeSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { open } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { systemTools } from '../../src/base/tool.js'
import { MiB } from '../../src/base/units.js'
import { allocated, baseOf, libraryBench, startOf, writeIso } from '../support/assembly.js'
import { keepTimes } from '../support/times.js'
import { needTools, skipAloud } from '../support/tools.js'

const run = (tool: string, ...args: string[]) => systemTools.run({ tool, args })

/** More than a tick of the clock that stamps are made of. */
const SETTLING = 100

/** A file system whose files can share blocks; undefined where this machine cannot have one. */
async function xfs(t: Test): Promise<string | undefined> {
  if (!needTools(t, 'mkfs.xfs', 'filefrag', 'perl')) return undefined
  if (process.getuid?.() !== 0 || !existsSync('/dev/loop-control')) {
    if (process.env['CI'] === 'true') t.fail('no file system can be mounted')
    skipAloud(t, 'only root, where the kernel has loop devices, can mount a file system that shares blocks')
    return undefined
  }
  // No testdir: that would be emptied before the file system is unmounted.
  const folder = mkdtempSync(join(tmpdir(), 'keyvisor-xfs-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  const [disk, at] = [join(folder, 'disk'), join(folder, 'at')]
  mkdirSync(at)
  writeFileSync(disk, '')
  truncateSync(disk, 600 * MiB)
  await run('mkfs.xfs', '-q', '-m', 'reflink=1', disk)
  await run('mount', '-o', 'loop', disk, at)
  t.teardown(() => run('umount', at))
  return at
}

/** Extents of a file that others have, too. */
async function sharedExtents(path: string): Promise<number> {
  const { stdout } = await run('filefrag', '-v', path)
  return stdout.split('\n').filter((line) => /\bshared\b/.test(line)).length
}

t.test('a second image shares the blocks of the first, as long as nobody wrote to that', async (t) => {
  const folder = await xfs(t)
  if (!folder) return
  const path = join(folder, 'tools.iso')
  writeIso(path, 32 * MiB)
  const all = await libraryBench(folder, [await baseOf(path, 'iso')])
  const { image, parts } = all
  const at = startOf(parts.layout, 'library') + (parts.library.facts.files[0]?.offset ?? 0)

  /** Builds again; the extents that it has in common with the image before, which is held open. */
  const again = async () => {
    const held = await open(image)
    try {
      await all.write()
      return await sharedExtents(image)
    } finally {
      await held.close()
    }
  }

  await all.write()
  t.equal(await sharedExtents(image), 0)
  const first = readFileSync(image)
  await sleep(SETTLING)

  await t.test('the same bases', async (t) => {
    t.ok((await again()) > 0, 'blocks are shared')
    t.ok(readFileSync(image).equals(first), 'the bytes are the same')
    t.ok(allocated(image) < 40 * MiB)
    rmSync(path)
    t.ok((await again()) > 0, 'the file itself is not read')
    t.ok(readFileSync(image).equals(first))
    writeIso(path, 32 * MiB)
  })

  await t.test('a byte of the first image is another, and its time was put back', async (t) => {
    await sleep(SETTLING)
    const putBack = keepTimes(image)
    const file = await open(image, 'r+')
    await file.write(Buffer.from('x'), 0, 1, at + 5 * MiB)
    await file.close()
    putBack()
    t.equal(await again(), 0, 'nothing of it is taken')
    t.ok(readFileSync(image).equals(first))
  })

  await t.test('a byte is changed at once after the build, and its time was put back', async (t) => {
    await all.write()
    const putBack = keepTimes(image)
    const file = openSync(image, 'r+')
    writeSync(file, Buffer.from('x'), 0, 1, at + 5 * MiB)
    closeSync(file)
    putBack()
    await all.write()
    t.ok(readFileSync(image).equals(first))
  })

  await t.test('it is written to while the next one is made', async (t) => {
    await all.write()
    await sleep(SETTLING)
    rmSync(path)
    let call = 0
    const spoil = () => {
      if (call++ > 0) return
      const file = openSync(image, 'r+')
      writeSync(file, Buffer.from('x'), 0, 1, at + 5 * MiB)
      closeSync(file)
    }
    await t.rejects(all.write(spoil), { code: 'image-changed', message: image, hint: /build again/ })
    t.strictSame(readdirSync(join(folder, 'out')), ['demo.img'])
    writeIso(path, 32 * MiB)
    await all.write()
    t.ok(readFileSync(image).equals(first), 'the next one takes nothing of it')
  })

  await t.test('of another image at its place nothing is taken', async (t) => {
    copyFileSync(image, `${image}.copy`)
    renameSync(`${image}.copy`, image)
    t.equal(await again(), 0)
    t.ok(readFileSync(image).equals(first))
  })
})

t.test('where blocks cannot be shared, a second image is written as the first was', async (t) => {
  const folder = t.testdir()
  const path = join(folder, 'tools.iso')
  writeIso(path, 5 * MiB)
  const all = await libraryBench(folder, [await baseOf(path, 'iso')])
  await all.write()
  const first = readFileSync(all.image)
  await sleep(SETTLING)
  await all.write()
  t.ok(readFileSync(all.image).equals(first))
})
