/** What is made of an image's bytes: in one reading, the same whatever the number of threads, or not at all. */
import { createHash, randomBytes } from 'node:crypto'
import {
  closeSync,
  ftruncateSync,
  openSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { sha256 } from '../../src/base/digests.js'
import { Interrupted, KeyvisorError } from '../../src/base/errors.js'
import { silent } from '../../src/base/progress.js'
import { systemTools, type ToolRunner } from '../../src/base/tool.js'
import { GiB, KiB, MiB, SECTOR } from '../../src/base/units.js'
import { BMAP_BLOCK, decodeBmap } from '../../src/disk/bmap.js'
import { digestingRanges, writtenRanges } from '../../src/publish/block-map.js'
import { type ImageRequest, imageArtifacts } from '../../src/publish/image.js'
import { digesting, type Reader, readOnce } from '../../src/publish/read-once.js'
import type { Layout } from '../../src/stick/layout.js'
import type { Manifest } from '../../src/stick/manifest.js'
import { Store } from '../../src/store/store.js'
import { holds } from '../support/property.js'
import { needTools } from '../support/tools.js'

const never = new AbortController().signal

/** A stick of 8 MiB: a payload from 1 MiB on, an empty slot, another payload, gaps between. */
const layout = {
  sectors: (8 * MiB) / SECTOR,
  partitions: [
    { first: (1 * MiB) / SECTOR, last: (3 * MiB) / SECTOR - 1, used: MiB + 512 },
    { first: (3 * MiB) / SECTOR, last: (5 * MiB) / SECTOR - 1, used: 0 },
    { first: (5 * MiB) / SECTOR, last: (7 * MiB) / SECTOR - 1, used: 2 * MiB },
  ],
} as Layout

/** Random bytes with holes. */
function writeImage(path: string): Buffer {
  const bytes = Buffer.concat([
    randomBytes(3 * MiB),
    Buffer.alloc(2 * MiB),
    randomBytes(MiB),
    Buffer.alloc(2 * MiB),
  ])
  writeFileSync(path, bytes)
  return bytes
}

t.test('what must be written: tables, whole payloads, and the head of an empty slot', async (t) => {
  t.strictSame(writtenRanges(layout), [
    { first: 0, last: (2 * MiB) / BMAP_BLOCK },
    { first: (3 * MiB) / BMAP_BLOCK, last: (3 * MiB) / BMAP_BLOCK },
    { first: (5 * MiB) / BMAP_BLOCK, last: (7 * MiB) / BMAP_BLOCK - 1 },
    { first: (8 * MiB) / BMAP_BLOCK - 5, last: (8 * MiB) / BMAP_BLOCK - 1 },
  ])
})

t.test('ranges have their digests however the bytes come', async (t) => {
  const size = 64 * BMAP_BLOCK - 100
  const bytes = randomBytes(size)
  const ranges = [
    { first: 0, last: 0 },
    { first: 2, last: 30 },
    { first: 31, last: 31 },
    { first: 60, last: 63 },
  ]
  const expected = ranges.map(({ first, last }) => ({
    first,
    last,
    sha256: sha256(bytes.subarray(first * BMAP_BLOCK, (last + 1) * BMAP_BLOCK)),
  }))
  const areTheSame = (lengths: number[]) => {
    const reader = digestingRanges(ranges)
    for (let at = 0, chunk = 0; at < size; chunk++) {
      const length = lengths[chunk % lengths.length] as number
      reader.take(bytes.subarray(at, at + length))
      at += length
    }
    reader.end()
    return isDeepStrictEqual(reader.ranges(), expected)
  }
  const lengths = fc.array(fc.integer({ min: 100, max: 20 * KiB }), { minLength: 1, maxLength: 40 })
  await holds(t, 50, fc.property(lengths, areTheSame))
})

t.test('a file is read once for all readers, in order, and none is left behind', async (t) => {
  const path = join(t.testdir(), 'file')
  const bytes = writeImage(path)
  const slow: Buffer[] = []
  const reader: Reader = {
    take: async (chunk) => {
      await new Promise((resolve) => setTimeout(resolve, 1))
      slow.push(chunk)
    },
    end: () => void slow.push(Buffer.from('end')),
  }
  const whole = digesting()
  let told = 0
  await readOnce(path, [whole, reader], (count) => (told += count), never)
  t.ok(Buffer.concat(slow).equals(Buffer.concat([bytes, Buffer.from('end')])))
  t.equal(whole.sha256(), sha256(bytes))
  t.equal(told, bytes.length)
})

t.test('a reader that waits for ever does not hold an interrupted reading', async (t) => {
  const path = join(t.testdir(), 'file')
  writeImage(path)
  const controller = new AbortController()
  const stuck: Reader = { take: () => new Promise(() => {}), end: () => {} }
  const reading = readOnce(path, [stuck], () => {}, controller.signal)
  setTimeout(() => controller.abort(new Interrupted()), 20)
  await t.rejects(reading, { code: 'interrupted' })
  await t.rejects(
    readOnce(path, [], () => {}, controller.signal),
    { code: 'interrupted' },
  )
})

interface Scene {
  folder: string
  request: ImageRequest
  run: { store: Store; progress: typeof silent; signal?: AbortSignal }
  bytes: Buffer
}

async function scene(t: Test, tools: ToolRunner = systemTools): Promise<Scene> {
  const folder = t.testdir({ out: {}, store: {} })
  const image = join(folder, 'out', 'demo.img')
  const bytes = writeImage(image)
  const manifest = { key: 'k', layout } as Manifest
  const forms = ['zst', 'xz', 'bmap'] as const
  const request = { image, manifest, forms: [...forms], toolsKey: 't', tools: async () => tools }
  return { folder, request, run: { store: await Store.open(join(folder, 'store')), progress: silent }, bytes }
}

const out = ({ folder }: Scene) => readdirSync(join(folder, 'out')).sort()

t.test('all forms are of the same image, and what is there is not made again', async (t) => {
  if (!needTools(t, 'zstd', 'xz')) return
  const one = await scene(t)
  const made = await imageArtifacts(one.request, one.run)
  t.strictSame(out(one), ['demo.bmap', 'demo.img', 'demo.img.xz', 'demo.img.zst'])
  for (const { path, sha256: digest, size } of made) {
    t.equal(sha256(readFileSync(path)), digest, path)
    t.equal(statSync(path).size, size)
  }
  for (const [tool, file] of [
    ['zstd', made[1]?.path],
    ['xz', made[2]?.path],
  ] as const) {
    const script = `${tool} -dc "$1" | sha256sum`
    const { stdout } = await systemTools.run({ tool: 'sh', args: ['-c', script, 'sh', file as string] })
    t.match(stdout, sha256(one.bytes))
  }
  const { ranges } = decodeBmap(readFileSync(made[3]?.path as string, 'utf8'))
  for (const { first, last, sha256: digest } of ranges) {
    const part = one.bytes.subarray(first * BMAP_BLOCK, (last + 1) * BMAP_BLOCK)
    t.equal(createHash('sha256').update(part).digest('hex'), digest)
  }
  const broken = { ...one.request, tools: () => Promise.reject(new Error('not again')) }
  t.strictSame(await imageArtifacts(broken, one.run), made, 'nothing is done')
  writeFileSync(made[1]?.path as string, 'touched')
  await t.rejects(imageArtifacts(broken, one.run), /not again/, 'one that was touched is made anew')
  await t.rejects(imageArtifacts({ ...broken, toolsKey: 'u' }, one.run), /not again/, 'and with other tools')
  t.strictSame(await imageArtifacts(one.request, one.run), made)
})

t.test('the bytes do not depend on cores', async (t) => {
  if (!needTools(t, 'zstd', 'xz', 'taskset')) return
  const digests = new Set<string>()
  const path = join(t.testdir(), 'image')
  // Larger than the 8 MiB that each thread takes at a time.
  writeFileSync(path, Buffer.concat([randomBytes(9 * MiB), Buffer.alloc(8 * MiB)]))
  for (const threads of [1, 3]) {
    const script = `zstd -q -c -3 --threads=${threads} <"$1" | sha256sum; xz -q -c -0 --block-size=8MiB --threads=+${threads} <"$1" | sha256sum`
    digests.add((await systemTools.run({ tool: 'sh', args: ['-c', script, 'sh', path] })).stdout)
  }
  t.equal(digests.size, 1)
})

t.test('a tool that fails leaves nothing, and is what is told', async (t) => {
  const one = await scene(t, {
    argv: systemTools.argv,
    run: (call) =>
      call.tool === 'zstd'
        ? systemTools.run({ ...call, tool: 'sh', args: ['-c', 'echo no room >&2; exit 1'] })
        : systemTools.run({ ...call, tool: 'sh', args: ['-c', 'cat'] }),
  })
  const error = (await imageArtifacts(one.request, one.run).catch((error) => error)) as KeyvisorError
  t.ok(error instanceof KeyvisorError)
  t.match(error, { code: 'tool-failed', message: /no room/ })
  t.strictSame(out(one), ['demo.img'])
})

t.test('a missing tool does not hold the reading', async (t) => {
  const one = await scene(t, {
    argv: systemTools.argv,
    run: (call) => systemTools.run({ ...call, tool: 'no-such-tool' }),
  })
  await t.rejects(imageArtifacts(one.request, one.run), { code: 'tool-missing' })
  t.strictSame(out(one), ['demo.img'])
})

t.test('an interrupted build leaves nothing', async (t) => {
  const controller = new AbortController()
  const slow: ToolRunner = {
    argv: systemTools.argv,
    run: (call) => systemTools.run({ ...call, tool: 'sleep', args: ['60'] }),
  }
  const one = await scene(t, slow)
  setTimeout(() => controller.abort(new Interrupted()), 200)
  await t.rejects(imageArtifacts(one.request, { ...one.run, signal: controller.signal }), {
    code: 'interrupted',
  })
  t.strictSame(out(one), ['demo.img'])
})

t.test("a compressed image is for the image's own readers", async (t) => {
  if (!needTools(t, 'zstd', 'chmod')) return
  const one = await scene(t)
  await systemTools.run({ tool: 'chmod', args: ['600', one.request.image] })
  const made = await imageArtifacts({ ...one.request, forms: ['zst'] }, one.run)
  t.equal(statSync(made[1]?.path as string).mode & 0o777, 0o600)
})

t.test('memory is flat', async (t) => {
  const path = join(t.testdir(), 'sparse')
  const file = openSync(path, 'w')
  writeSync(file, 'x')
  ftruncateSync(file, GiB)
  closeSync(file)
  const before = process.memoryUsage().rss
  let most = 0
  const reader: Reader = { take: () => new Promise((resolve) => setImmediate(resolve)), end: () => {} }
  await readOnce(path, [reader], () => (most = Math.max(most, process.memoryUsage.rss())), never)
  t.ok(most - before < 200 * MiB, `${Math.round((most - before) / MiB)} MiB for 1 GiB`)
})
