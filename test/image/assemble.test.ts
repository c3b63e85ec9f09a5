import { readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { Interrupted } from '../../src/base/errors.js'
import { systemTools } from '../../src/base/tool.js'
import { type Bytes, MiB, SECTOR } from '../../src/base/units.js'
import { decodeMbr } from '../../src/disk/mbr.js'
import { type AssemblyParts, assembleImage } from '../../src/image/assemble.js'
import type { StickPlan } from '../../src/stick/definition.js'
import { biosBootFirst } from '../../src/stick/layout.js'
import type { Workplace } from '../../src/store/workplace.js'
import {
  allocated,
  assemblyParts,
  baseOf,
  bytesAt,
  fileSystemOf,
  placeIn,
  STICK,
} from '../support/assembly.js'
import { needTools } from '../support/tools.js'

const SIZES = { biosBoot: 4096, esp: 8 * MiB, root: 5 * MiB, settings: MiB }

interface Bench {
  parts: AssemblyParts
  write(path: string, change?: Partial<AssemblyParts>, onBytes?: (bytes: Bytes) => void): Promise<void>
  place: Workplace
}

/** Parts of an image; of the library's only base a little is at both ends, and a hole between. */
async function bench(folder: string, signal?: AbortSignal): Promise<Bench> {
  const place = { ...(await placeIn(folder)), ...(signal ? { signal } : {}) }
  const base = join(folder, 'base')
  writeFileSync(base, Buffer.alloc(MiB, 'L'))
  truncateSync(base, 12 * MiB - 1)
  writeFileSync(base, 'E', { flag: 'a' })
  const parts = await assemblyParts(folder, [await baseOf(base, null)], place, SIZES)
  return {
    parts,
    place,
    write: (path, change = {}, onBytes = () => {}) =>
      assembleImage({ ...parts, ...change }, path, onBytes, place, systemTools),
  }
}

t.test('each payload stands at its place, byte for byte', async (t) => {
  const folder = t.testdir()
  const { parts, write } = await bench(folder)
  const image = join(folder, 'demo.img')
  await write(image)
  t.equal(statSync(image).size, parts.layout.sectors * SECTOR)
  for (const { payload, first, last } of parts.layout.partitions) {
    const place = await bytesAt(image, first * SECTOR, (last - first + 1) * SECTOR)
    if (payload === null) {
      t.ok(place.equals(Buffer.alloc(place.length)), 'the other slot is empty')
      continue
    }
    const isLibrary = payload === 'library'
    const bytes = isLibrary ? fileSystemOf(parts) : readFileSync(parts.payloads[payload])
    // The core image has its own place written in: byte 500 to 512 (GRUB, boot/i386/pc/diskboot.S).
    const compared = payload === 'biosBoot' ? [0, 500] : [0, bytes.length]
    t.ok(place.subarray(...compared).equals(bytes.subarray(...compared)), payload)
    const behind = place.subarray(isLibrary ? parts.library.facts.size : bytes.length)
    t.ok(behind.equals(Buffer.alloc(behind.length)), `nothing behind ${payload}`)
  }
})

t.test('the boot code and the core image know where the core image lies', async (t) => {
  const folder = t.testdir()
  const { write } = await bench(folder)
  await write(join(folder, 'demo.img'))
  const core = biosBootFirst(STICK)
  const mbr = await bytesAt(join(folder, 'demo.img'), 0, 512)
  t.equal(mbr.readBigUInt64LE(0x5c), BigInt(core))
  t.match(decodeMbr(mbr), { protective: true, active: true })
  const first = await bytesAt(join(folder, 'demo.img'), core * SECTOR, 512)
  t.equal(first.readBigUInt64LE(500), BigInt(core + 1))
  t.equal(first.readUInt16LE(508), SIZES.biosBoot / SECTOR - 1)
})

t.test('a stick that no BIOS shall start has no boot code', async (t) => {
  const folder = t.testdir()
  const stick: StickPlan = { ...STICK, firmware: ['uefi', 'secureboot'] }
  const { write } = await bench(folder)
  await write(join(folder, 'demo.img'), { stick })
  const mbr = await bytesAt(join(folder, 'demo.img'), 0, 512)
  t.ok(mbr.subarray(0, 440).equals(Buffer.alloc(440)))
  t.match(decodeMbr(mbr), { protective: true, active: false }, 'a protective MBR it has all the same')
})

t.test('holes stay holes', async (t) => {
  const folder = t.testdir()
  const { write } = await bench(folder)
  await write(join(folder, 'demo.img'))
  t.ok(statSync(join(folder, 'demo.img')).size > 40 * MiB)
  const bytes = allocated(join(folder, 'demo.img'))
  // ESP, root, settings and the base's first MiB are full; tables, core image and the library's rest are less than one more.
  t.ok(bytes < (8 + 5 + 1 + 1 + 1) * MiB, `${bytes} bytes are allocated`)
})

t.test('progress tells each byte once', async (t) => {
  const folder = t.testdir()
  let told = 0
  const { parts, write } = await bench(folder)
  await write(join(folder, 'demo.img'), {}, (bytes) => {
    told += bytes
  })
  t.equal(told, SIZES.biosBoot + SIZES.esp + SIZES.root + SIZES.settings + parts.library.facts.size)
})

t.test('an image that is aborted leaves no file, and the old one as it was', async (t) => {
  const folder = t.testdir({ out: { 'demo.img': 'old' } })
  const image = join(folder, 'out', 'demo.img')
  const controller = new AbortController()
  const abort = () => controller.abort(new Interrupted())
  const { write } = await bench(folder, controller.signal)
  await t.rejects(write(image, {}, abort), { code: 'interrupted' })
  t.strictSame(readdirSync(join(folder, 'out')), ['demo.img'])
  t.equal(readFileSync(image, 'utf8'), 'old')
})

t.test('a payload that is gone leaves no file', async (t) => {
  const folder = t.testdir({ out: {} })
  const { parts, write } = await bench(folder)
  for (const path of [parts.library.bases[0]?.path, parts.library.head, parts.payloads.settings]) {
    rmSync(path as string)
    await t.rejects(write(join(folder, 'out', 'demo.img')), { code: 'ENOENT' }, `${path}`)
    t.strictSame(readdirSync(join(folder, 'out')), [])
  }
})

t.test('the same parts give the same bytes, and sgdisk takes them', async (t) => {
  if (!needTools(t, 'sgdisk')) return
  const folder = t.testdir()
  const { write } = await bench(folder)
  const [one, two] = [join(folder, 'one.img'), join(folder, 'two.img')]
  await write(one)
  await write(two)
  t.ok(readFileSync(one).equals(readFileSync(two)))
  const { stdout } = await systemTools.run({ tool: 'sgdisk', args: ['-v', one] })
  t.match(stdout, 'No problems found')
  t.notMatch(stdout, 'Creating new GPT entries')
})

t.test('an image with secrets is for the eyes of its owner', async (t) => {
  const folder = t.testdir()
  const image = join(folder, 'demo.img')
  const { write } = await bench(folder)
  await write(image, { isPrivate: true })
  t.equal(statSync(image).mode & 0o777, 0o600)
})
