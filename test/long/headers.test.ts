/**
 * A hundred thousand mutated headers of every format that a guest's disk may have: each ends in an answer within a moment,
 * and what is accepted is what QEMU sees. A sample of those is given to qemu-img, under strace: it opens no other file.
 *
 * `HEADERS=1000` is a shorter one, `SEED=…` draws the same again. Some minutes.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { KeyvisorError } from '../../src/base/errors.js'
import { systemTools } from '../../src/base/tool.js'
import { type Bytes, KiB, MiB } from '../../src/base/units.js'
import { examineImage, type ImageFormat } from '../../src/disk/image.js'
import { needTools, seeded, seedOfRun } from '../support/tools.js'

const COUNT = Number(process.env['HEADERS'] ?? 100_000)
/** Of each format, those that qemu-img is asked about. */
const JUDGED = Math.min(150, Math.ceil(COUNT / 100))
/** Milliseconds that a header may take, on a machine with other things to do. */
const MOMENT = 2000

t.setTimeout(3_600_000)

/** Each with what qemu-img calls it, and where its headers are. */
const FORMATS: [ImageFormat, driver: string, options: string[], places: [Bytes, Bytes][]][] = [
  ['qcow2', 'qcow2', [], [[0, 600]]],
  [
    'vmdk',
    'vmdk',
    [],
    [
      [0, 512],
      [512, 1024],
    ],
  ],
  [
    'vmdk',
    'vmdk',
    ['-o', 'subformat=streamOptimized'],
    [
      [0, 512],
      [512, 1024],
    ],
  ],
  [
    'vhdx',
    'vhdx',
    [],
    [
      [64 * KiB, 80],
      [192 * KiB, 120],
      [3 * MiB, 300],
      [3 * MiB + 64 * KiB, 64],
    ],
  ],
  [
    'vhd',
    'vpc',
    ['-o', 'force_size=on'],
    [
      [0, 512],
      [512, 64],
    ],
  ],
  ['vdi', 'vdi', [], [[64, 400]]],
]

const random = seeded(seedOfRun())
const EDGES = [0, 1, 2, 4, 0x7f, 0x80, 0xff]

/** A few bytes changed; most to what stands at the edge of something. */
function mutated(whole: Buffer, places: [Bytes, Bytes][], isTail: boolean): Buffer {
  const copy = Buffer.from(whole)
  for (let change = random(4); change >= 0; change--) {
    const [start, length] = places[random(places.length)] as [Bytes, Bytes]
    const at = isTail && random(2) === 0 ? copy.length - 512 + random(100) : start + random(length)
    const byte = random(3) === 0 ? random(256) : (EDGES[random(EDGES.length)] as number)
    if (at < copy.length) copy[at] = byte
  }
  return copy
}

if (needTools(t, 'qemu-img', 'strace')) {
  const folder = t.testdir()
  const raw = join(folder, 'raw')
  writeFileSync(raw, Buffer.alloc(MiB, 'a disk'))
  for (const [format, driver, options, places] of FORMATS) {
    const name = [format, ...options].join(' ')
    t.test(name, async (t) => {
      const path = join(folder, 'whole')
      await systemTools.run({
        tool: 'qemu-img',
        args: ['convert', '-f', 'raw', '-O', driver, ...options, raw, path],
      })
      const whole = readFileSync(path)
      const accepted: Buffer[] = []
      const counts = { accepted: 0, refused: 0 }
      let slowest = 0
      for (let index = 0; index < COUNT / FORMATS.length; index++) {
        const bytes = mutated(whole, places, format === 'vhd')
        const started = performance.now()
        const size = await virtualSize(bytes, format)
        slowest = Math.max(slowest, performance.now() - started)
        if (size === undefined) counts.refused++
        else if (++counts.accepted && accepted.length < JUDGED && !bytes.equals(whole)) accepted.push(bytes)
      }
      t.ok(slowest < MOMENT, `the slowest took ${slowest.toFixed(0)} ms`)
      t.ok(counts.refused > 0 && counts.accepted > 0, JSON.stringify(counts))
      for (const bytes of accepted) await judge(t, bytes, format, driver, join(folder, 'judged'))
    })
  }
}

/** Undefined where it is refused, in words that a user can mend something by. */
async function virtualSize(bytes: Buffer, format: ImageFormat): Promise<Bytes | undefined> {
  const read = async (offset: Bytes, length: Bytes) => bytes.subarray(offset, offset + length)
  try {
    return (await examineImage({ size: bytes.length, read }, format, 'DISK')).virtualSize
  } catch (error) {
    if (error instanceof KeyvisorError) return undefined
    throw error
  }
}

/** What QEMU takes has the size that the gate said, and nothing but this file is opened. */
async function judge(
  t: Test,
  bytes: Buffer,
  format: ImageFormat,
  driver: string,
  path: string,
): Promise<void> {
  writeFileSync(path, bytes)
  const expected = await virtualSize(bytes, format)
  const size = driver === 'vpc' ? { force_size_calc: 'current_size' } : {}
  const image = `json:${JSON.stringify({ driver, ...size, file: { driver: 'file', filename: path } })}`
  const log = `${path}.log`
  const args = ['-f', '-e', 'trace=open,openat', '-o', log, 'qemu-img', 'info', '-U', '--output=json', image]
  const said = await systemTools.run({ tool: 'strace', args, timeout: 60 }).catch(() => undefined)
  const opened = [...readFileSync(log, 'utf8').matchAll(/open(?:at)?\([^"]*"([^"]+)"[^)]*\) = \d+/g)]
    .map(([, name]) => name as string)
    .filter((name) => name !== path && !/^\/(usr|lib|lib64|etc|proc|sys|dev)\//.test(name))
  t.strictSame(opened, [], 'nothing else is opened')
  // One that QEMU refuses is refused by the build, too.
  const found = said && (JSON.parse(said.stdout) as { 'virtual-size': number })['virtual-size']
  if (found !== undefined) t.equal(found, expected, 'QEMU sees the size that the gate said')
}
