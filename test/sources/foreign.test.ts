/** Other hypervisors' disks become bases: by the real qemu-img, whose own comparison judges. */
import { mkdtempSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { sha256File } from '../../src/base/digests.js'
import { silent } from '../../src/base/progress.js'
import { systemTools } from '../../src/base/tool.js'
import { MiB } from '../../src/base/units.js'
import type { ImageFormat } from '../../src/disk/image.js'
import { imageVirtualSize } from '../../src/disk/image-file.js'
import { fileDigest } from '../../src/sources/base.js'
import { convertImage } from '../../src/sources/image/disk.js'
import { formatOf } from '../../src/sources/image/file.js'
import { Store } from '../../src/store/store.js'
import { needCorpus, needTools } from '../support/tools.js'

const qemu = (...args: string[]) => systemTools.run({ tool: 'qemu-img', args })

async function converted(path: string, folder: string, format: ImageFormat = formatOf(path, undefined)) {
  const place = { store: await Store.open(join(folder, 'store')), progress: silent }
  const { sha256, size } = await fileDigest(path, format, place)
  const scratch = mkdtempSync(join(folder, 'scratch-'))
  return convertImage({ path, format, sha256, size }, scratch, systemTools)
}

const FORMATS: [name: string, driver: string, ...options: string[]][] = [
  ['sparse.vmdk', 'vmdk'],
  ['stream.vmdk', 'vmdk', '-o', 'subformat=streamOptimized'],
  ['split.vmdk', 'vmdk', '-o', 'subformat=twoGbMaxExtentSparse'],
  ['flat.vmdk', 'vmdk', '-o', 'subformat=monolithicFlat'],
  ['split-flat.vmdk', 'vmdk', '-o', 'subformat=twoGbMaxExtentFlat'],
  ['dynamic.vhdx', 'vhdx'],
  ['dynamic.vhd', 'vpc', '-o', 'force_size=on'],
  ['fixed.vhd', 'vpc', '-o', 'subformat=fixed,force_size=on'],
  ['dynamic.vdi', 'vdi'],
  ['static.vdi', 'vdi', '-o', 'static=on'],
]

t.test('a disk in each format has the same bytes as a base', async (t) => {
  if (!needTools(t, 'qemu-img', 'prlimit')) return
  const folder = t.testdir()
  const raw = join(folder, 'raw')
  writeFileSync(raw, Buffer.alloc(5 * MiB, 'a disk of another hypervisor'))
  truncateSync(raw, 40 * MiB)
  const bases = new Set<string>()
  for (const [name, driver, ...options] of FORMATS) {
    const path = join(folder, name)
    await qemu('convert', '-f', 'raw', '-O', driver, ...options, raw, path)
    const before = await sha256File(path)
    const base = await converted(path, folder)
    t.match((await qemu('compare', '-f', 'raw', '-F', 'qcow2', raw, base)).stdout, /identical/, name)
    t.equal(await imageVirtualSize(base, 'qcow2'), 40 * MiB, name)
    t.strictSame(await sha256File(path), before, 'the image is as it was')
    bases.add((await sha256File(base)).sha256)
    await t.rejects(
      convertImage(
        { path, format: formatOf(path, undefined), sha256: '00', size: 1 },
        mkdtempSync(join(folder, 'x-')),
        systemTools,
      ),
      {
        code: 'image-changed',
      },
    )
  }
  t.ok(bases.size < FORMATS.length, 'the same disk gives the same base, mostly')
})

t.test('disks that other people made', async (t) => {
  const corpus = needCorpus(t, 'images')
  if (!corpus || !needTools(t, 'bzip2', 'qemu-img', 'prlimit')) return
  const folder = t.testdir()
  for (const name of ['iotest-dynamic-1G.vhdx', 'iotest-dirtylog-10G-4M.vhdx', 'virtualpc-dynamic.vhd']) {
    const path = join(folder, name)
    const output = await open(path, 'w')
    await systemTools.run({ tool: 'bzip2', args: ['-dc', join(corpus, `${name}.bz2`)], output })
    await output.close()
    const before = await sha256File(path)
    const base = await converted(path, folder)
    t.equal(
      await imageVirtualSize(base, 'qcow2'),
      await imageVirtualSize(path, formatOf(path, undefined)),
      name,
    )
    t.strictSame(await sha256File(path), before, 'the image is as it was, its log too')
    t.ok(statSync(base).size < 200 * MiB)
    if (name.includes('dirtylog')) continue
    const driver = name.endsWith('vhd')
      ? { driver: 'vpc', force_size_calc: 'current_size' }
      : { driver: 'vhdx' }
    const image = `json:${JSON.stringify({ ...driver, file: { driver: 'file', filename: path } })}`
    t.match((await qemu('compare', image, base)).stdout, /identical/, name)
  }
})
