/** qcow2 images of raw disks, as qemu-img sees them. */
import { createHash } from 'node:crypto'
import { readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import { sha256File } from '../../src/base/digests.js'
import { systemTools } from '../../src/base/tool.js'
import { type Bytes, KiB, MiB } from '../../src/base/units.js'
import { examineImageFile } from '../../src/disk/image-file.js'
import { encodeQcow2 } from '../../src/disk/qcow2-encode.js'
import { below, holds } from '../support/property.js'
import { needTools, seeded } from '../support/tools.js'

const qemu = (...args: string[]) => systemTools.run({ tool: 'qemu-img', args })

const CLUSTER = 64 * KiB

type Piece = [at: Bytes, bytes: Buffer]

/** A file with holes but for these pieces. */
async function sparse(path: string, size: Bytes, pieces: Piece[]): Promise<void> {
  writeFileSync(path, '')
  truncateSync(path, size)
  const file = await open(path, 'r+')
  for (const [at, bytes] of pieces) await file.write(bytes, 0, bytes.length, at)
  await file.close()
}

/** The digest of what was passed, which must be that of the disk. */
async function encode(raw: string, image: string): Promise<string> {
  const hash = createHash('sha256')
  const [source, target] = [await open(raw), await open(image, 'w')]
  try {
    await encodeQcow2(source, statSync(raw).size, target, (bytes) => void hash.update(bytes))
  } finally {
    await source.close()
    await target.close()
  }
  return hash.digest('hex')
}

function randomBytes(length: number, seed = 1): Buffer {
  const random = seeded(seed)
  const words = new Uint32Array(length / 4)
  for (let index = 0; index < words.length; index++) words[index] = random(2 ** 32)
  return Buffer.from(words.buffer)
}

const DISKS: Record<string, { size: Bytes; pieces: Piece[] }> = {
  'one sector': { size: 512, pieces: [[0, randomBytes(512)]] },
  'one cluster': { size: CLUSTER, pieces: [[CLUSTER - 4, Buffer.from('last')]] },
  'a cluster and a sector': {
    size: CLUSTER + 512,
    pieces: [
      [0, Buffer.from('first')],
      [CLUSTER + 508, Buffer.from('last')],
    ],
  },
  // An L2 table of 64 KiB is for 512 MiB.
  'two L2 tables': {
    size: 600 * MiB,
    pieces: [
      [0, Buffer.from('first')],
      [512 * MiB - 1, Buffer.from('ab')],
      [599 * MiB, randomBytes(MiB)],
    ],
  },
  'the second L2 table alone': { size: 600 * MiB, pieces: [[550 * MiB, randomBytes(4096)]] },
  'all zeros': { size: 100 * MiB, pieces: [] },
  'zeros of a part of a cluster': { size: 512, pieces: [] },
  'all data': { size: 20 * MiB, pieces: [[0, randomBytes(20 * MiB)]] },
}

for (const [what, { size, pieces }] of Object.entries(DISKS)) {
  t.test(`a disk: ${what}`, async (t) => {
    if (!needTools(t, 'qemu-img')) return
    const folder = t.testdir()
    const [raw, image] = [join(folder, 'raw'), join(folder, 'qcow2')]
    await sparse(raw, size, pieces)
    t.equal(await encode(raw, image), (await sha256File(raw)).sha256, 'all of it was passed')
    const { stdout } = await qemu('check', '-f', 'qcow2', image)
    t.match(stdout, 'No errors were found on the image.')
    t.match((await qemu('compare', '-f', 'raw', '-F', 'qcow2', raw, image)).stdout, 'Images are identical.')
    t.match(await examineImageFile(image, 'qcow2', image), {
      virtualSize: size,
      qcow2: { dirty: false, clusterBytes: CLUSTER },
    })
    t.equal(statSync(image).size % CLUSTER, 0)
    const clusters = new Set(
      pieces.flatMap(([at, bytes]) => {
        const [first, last] = [Math.floor(at / CLUSTER), Math.floor((at + bytes.length - 1) / CLUSTER)]
        return Array.from({ length: last - first + 1 }, (_, index) => first + index)
      }),
    )
    // Beside the data: header, L1, at most two L2 tables, refcount table and block.
    t.ok(statSync(image).size <= (clusters.size + 6) * CLUSTER, 'nothing but data is in it')
  })
}

t.test('written zeros and holes give the same image', async (t) => {
  const folder = t.testdir()
  const path = (name: string) => join(folder, name)
  const pieces: Piece[] = [
    [3 * MiB, randomBytes(100_000)],
    [9 * MiB - 2, Buffer.from('ab')],
  ]
  await sparse(path('holes'), 10 * MiB, pieces)
  writeFileSync(path('full'), readFileSync(path('holes')))
  t.ok(statSync(path('full')).blocks > statSync(path('holes')).blocks)
  await encode(path('holes'), path('one'))
  await encode(path('full'), path('two'))
  t.ok(readFileSync(path('one')).equals(readFileSync(path('two'))))
  rmSync(path('two'))
  await encode(path('holes'), path('two'))
  t.ok(readFileSync(path('one')).equals(readFileSync(path('two'))), 'and so does a second time')
})

t.test('a file that needs several refcount blocks', async (t) => {
  if (!needTools(t, 'qemu-img')) return
  // A refcount block is for 32768 clusters, which are 2 GiB: the image has some more, in a sparse file.
  const folder = t.testdir()
  const [raw, image] = [join(folder, 'raw'), join(folder, 'qcow2')]
  const marks: Piece[] = Array.from({ length: 33_000 }, (_, index) => [index * CLUSTER, Buffer.from('x')])
  await sparse(raw, 33_000 * CLUSTER, marks)
  const { blocks } = statSync(raw)
  t.ok(blocks * 512 < 200 * MiB, 'on a file system that has holes')
  await encode(raw, image)
  const { stdout } = await qemu('check', '-f', 'qcow2', image)
  t.match(stdout, 'No errors were found on the image.')
  t.match((await qemu('compare', '-f', 'raw', '-F', 'qcow2', raw, image)).stdout, 'Images are identical.')
})

t.test('any disk comes back as it went', async (t) => {
  if (!needTools(t, 'qemu-img')) return
  const folder = t.testdir()
  const [raw, image, back] = ['raw', 'qcow2', 'back'].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ]
  const piece = fc.tuple(below(9 * MiB), fc.uint8Array({ minLength: 1, maxLength: 3000 }))
  const disk = fc.record({ sectors: fc.integer({ min: 1, max: (9 * MiB) / 512 }), pieces: fc.array(piece) })
  const isSame = async ({ sectors, pieces }: { sectors: number; pieces: [number, Uint8Array][] }) => {
    const size = sectors * 512
    await sparse(
      raw,
      size,
      pieces.map(([at, bytes]): Piece => [at % size, Buffer.from(bytes.subarray(0, size - (at % size)))]),
    )
    await encode(raw, image)
    await qemu('check', '-q', '-f', 'qcow2', image)
    await qemu('convert', '-f', 'qcow2', '-O', 'raw', image, back)
    return readFileSync(raw).equals(readFileSync(back))
  }
  await holds(t, 15, fc.asyncProperty(disk, isSame))
})
