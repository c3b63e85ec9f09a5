/**
 * A small stick with all that is looked at, and damage in each place: every kind must be found.
 */

import { mkdir, open, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { ARCHITECTURES } from '../../src/arch/architecture.js'
import { silent } from '../../src/base/progress.js'
import type { ToolRunner } from '../../src/base/tool.js'
import { MiB } from '../../src/base/units.js'
import { encodeGpt } from '../../src/disk/gpt.js'
import { encodeProtectiveMbr } from '../../src/disk/mbr.js'
import type { Inspection } from '../../src/media/inspect.js'
import { Store, storeFolder } from '../../src/store/store.js'
import { openCheckTools } from '../../src/tools/lab-tools.js'
import { encodeLibrary } from '../support/images.js'
import { needTools } from '../support/tools.js'
import { countRecords, type Findings, openExaminer } from './examine.js'
import { Replay } from './replay.js'

const record = (number: number) => `record ${number}\n`
const records = (count: number) => Array.from({ length: count }, (_, index) => record(index + 1)).join('')
const WITNESS = { guest: 'writer', file: '/records', record }

t.test('records are counted up to what is none', async (t) => {
  t.strictSame(countRecords('', record), { records: 0 })
  t.strictSame(countRecords(records(12), record), { records: 12 })
  t.strictSame(countRecords(`${records(2)}reco`, record), { records: 2 }, 'one that was being written')
  const cases = [`${records(2)}\0\0`, `${records(2)}record 4\n`, `x${records(2)}`, `${records(2)}record 2\n`]
  for (const text of cases) t.match(countRecords(text, record).problem, /^behind record [02] stands/, text)
})

const SECTOR = 512
const LIBRARY = { number: 5, first: 2048, last: 2048 * 33 - 1 }
const DATA = { number: 6, first: 2048 * 33, last: 2048 * 97 - 1 }
const STICK = 98 * MiB

const gpt = (sectors: number, partitions: { number: number; first: number; last: number; name: string }[]) =>
  encodeGpt(
    '6a508528-97c0-4f7c-8a53-b0c5d1d6a001',
    sectors,
    partitions.map((partition) => ({
      ...partition,
      type: ARCHITECTURES.amd64.rootPartition,
      attributes: 0n,
      guid: `6a508528-97c0-4f7c-8a53-b0c5d1d6b00${partition.number}`,
    })),
  )

/** Puts pieces at their places in a new file. */
async function disk(path: string, size: number, pieces: [at: number, bytes: Uint8Array][]): Promise<void> {
  const file = await open(path, 'w')
  await file.truncate(size)
  for (const [at, bytes] of pieces) await file.write(bytes, 0, bytes.length, at)
  await file.close()
}

/** Makes the base image, and the overlay of a guest that wrote a text to its file. */
async function makeGuest(folder: string, text: string, tools: ToolRunner): Promise<void> {
  const run = (tool: string, ...args: string[]) =>
    tools.run({ tool, args, binds: [{ path: folder, write: true }] })
  const [root, base] = [join(folder, 'root.img'), join(folder, 'abc.qcow2')]
  const table = gpt((26 * MiB) / SECTOR, [{ number: 3, first: 2048, last: 2048 * 25 - 1, name: 'root' }])
  const withRoot = async (path: string) =>
    disk(path, 26 * MiB, [
      [SECTOR, table.primary],
      [MiB, await readFile(root)],
    ])
  await run('mke2fs', '-q', '-F', '-t', 'ext4', root, '24M')
  await withRoot(join(folder, 'base.raw'))
  await run('qemu-img', 'convert', '-f', 'raw', '-O', 'qcow2', join(folder, 'base.raw'), base)
  await writeFile(join(folder, 'text'), text)
  await run('debugfs', '-w', '-R', `write ${join(folder, 'text')} records`, root)
  await withRoot(join(folder, 'changed.raw'))
  const overlay = join(folder, 'data/guests/writer/disk.qcow2')
  await mkdir(join(folder, 'data/guests/writer'), { recursive: true })
  const changed = ['-F', 'raw', '-b', join(folder, 'changed.raw')]
  await run('qemu-img', 'create', '-q', '-f', 'qcow2', ...changed, overlay)
  await run('qemu-img', 'rebase', '-f', 'qcow2', '-F', 'qcow2', '-b', base, overlay)
}

interface Damage {
  text?: string
  name?: string
  /** Changes the overlay, before it goes into data's file system. */
  overlay?: (bytes: Buffer) => Buffer | undefined
  /** Changes the whole stick. */
  stick?: (bytes: Buffer) => void
}

async function examine(folder: string, damage: Damage, tools: ToolRunner): Promise<Findings> {
  await mkdir(folder, { recursive: true })
  await makeGuest(folder, damage.text ?? records(1000), tools)
  const overlay = join(folder, 'data/guests/writer/disk.qcow2')
  const bytes = (damage.overlay ?? ((same) => same))(await readFile(overlay))
  await (bytes ? writeFile(overlay, bytes) : rm(overlay))
  const mke2fs = (source: string, image: string, size: string) =>
    tools.run({
      tool: 'mke2fs',
      args: ['-q', '-F', '-t', 'ext4', '-d', source, image, size],
      binds: [{ path: folder, write: true }],
    })
  await mke2fs(join(folder, 'data'), join(folder, 'data.img'), '64M')
  const partitions = [{ ...LIBRARY, name: 'library' }]
  if (damage.name !== '') partitions.push({ ...DATA, name: damage.name ?? 'data' })
  const table = gpt(STICK / SECTOR, partitions)
  const stick = join(folder, 'stick.raw')
  await disk(stick, STICK, [
    [0, encodeProtectiveMbr(STICK / SECTOR, Buffer.from('boot code'))],
    [SECTOR, table.primary],
    [
      LIBRARY.first * SECTOR,
      encodeLibrary([{ name: 'abc.qcow2', bytes: await readFile(join(folder, 'abc.qcow2')) }]),
    ],
    [DATA.first * SECTOR, await readFile(join(folder, 'data.img'))],
    [STICK - table.backup.length, table.backup],
  ])
  const inspection = {
    path: stick,
    partitions: [{ ...LIBRARY, payload: 'library' }],
    layout: { data: { number: 6, name: 'data' } },
    manifest: { guests: [{ name: 'writer', drives: [{ kind: 'overlay', base: 'abc' }] }] },
  } as unknown as Inspection
  const own = join(folder, 'own')
  await mkdir(own)
  const examiner = await openExaminer(inspection, WITNESS, own, tools)
  if (damage.stick) {
    const whole = await readFile(stick)
    damage.stick(whole)
    await writeFile(stick, whole)
  }
  const replay = await Replay.open(stick, STICK, '/dev/null', [])
  try {
    return await examiner.examine(replay)
  } finally {
    await replay.close()
  }
}

/** Breaks every checksum of a partition's file system but that of its superblock. */
function shred(bytes: Buffer, { first }: { first: number }): void {
  bytes.fill(0xa5, first * SECTOR + 8192, first * SECTOR + 400_000)
}

if (needTools(t, 'bwrap', 'mmdebstrap')) {
  t.setTimeout(600_000)
  const tools = await openCheckTools({ store: await Store.open(storeFolder()), progress: silent })
  const folder = t.testdir()
  const cases: [name: string, damage: Damage, wanted: Partial<Findings>, problems: RegExp[]][] = [
    ['a sound stick', {}, { stage: 'guest', records: 1000 }, []],
    ['no data partition', { name: '' }, { stage: 'table' }, []],
    ['one that is not formatted', { name: 'data-new' }, { stage: 'format' }, []],
    ['no overlay yet', { overlay: () => undefined }, { stage: 'overlay' }, []],
    [
      'a record that is none',
      { text: `${records(7)}\0\0\0` },
      { records: 7 },
      [/^writer: behind record 7 stands/],
    ],
    [
      'a torn primary, and a whole backup',
      { stick: (bytes) => bytes.fill(0, 1536, 2048) },
      { records: 1000 },
      [],
    ],
    [
      'neither table',
      { stick: (bytes) => bytes.fill(0, 1536, 2048).fill(0, STICK - 512) },
      { stage: 'table' },
      [/^neither copy/],
    ],
    [
      'no active record, and nothing else',
      { stick: (bytes) => bytes.fill(0, 462, 478) },
      { records: 1000 },
      [/^LBA 0 is not the image's$/],
    ],
    [
      'a hybrid MBR',
      { stick: (bytes) => bytes.fill(0x83, 466, 467) },
      { records: 1000 },
      [/^LBA 0 is not a protective MBR$/],
    ],
    ["data's file system", { stick: (bytes) => shred(bytes, DATA) }, {}, [/^data: e2fsck \([48]\)/]],
    [
      "the overlay's tables",
      // Where L1 points to: a place behind the file's end.
      {
        overlay: (bytes) => {
          const l1 = Number(bytes.readBigUInt64BE(40))
          bytes.writeBigUInt64BE((1n << 63n) | 0x40000000n, l1)
          return bytes
        },
      },
      {},
      [/^overlay: qemu-img \([12]\)/],
    ],
  ]
  for (const [index, [name, damage, wanted, problems]] of cases.entries()) {
    await t.test(name, async (t) => {
      const found = await examine(join(folder, `${index}`), damage, tools)
      t.match(found, wanted)
      if (problems.length === 0) t.strictSame(found.problems, [])
      for (const problem of problems) {
        const told = found.problems.some((text) => problem.test(text))
        t.ok(told, `${problem}`, { problems: found.problems })
      }
    })
  }
}
