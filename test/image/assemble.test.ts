import { readdirSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { sha256 } from '../../src/base/digests.js'
import { Interrupted } from '../../src/base/errors.js'
import { systemTools } from '../../src/base/tool.js'
import { MiB, SECTOR } from '../../src/base/units.js'
import { decodeMbr } from '../../src/disk/mbr.js'
import { type AssemblyParts, assembleImage } from '../../src/image/assemble.js'
import type { StickPlan } from '../../src/stick/definition.js'
import { biosBootFirst, layoutStick } from '../../src/stick/layout.js'
import type { PayloadName } from '../../src/stick/partitions.js'
import { smallStick } from '../support/stick.js'
import { needTools } from '../support/tools.js'

const STICK = smallStick({ esp: 8 * MiB, secondEsp: 4 * MiB, rootSlot: 16 * MiB, settings: 2 * MiB })

const SIZES: Record<PayloadName, number> = {
  biosBoot: 4096,
  esp: 8 * MiB,
  root: 5 * MiB,
  settings: MiB,
  library: 12 * MiB,
}

/** Payloads that are full of one letter each, but for the library: a little at both ends, and a hole between. */
function makeParts(folder: string): AssemblyParts {
  const payloads = {} as Record<PayloadName, { path: string; size: number; sha256: string }>
  for (const [index, name] of (Object.keys(SIZES) as PayloadName[]).entries()) {
    const path = join(folder, name)
    const size = SIZES[name]
    writeFileSync(path, Buffer.alloc(name === 'library' ? MiB : size, 'BERSL'[index]))
    if (name === 'library') {
      truncateSync(path, size - 1)
      writeFileSync(path, 'E', { flag: 'a' })
    }
    payloads[name] = { path, size, sha256: sha256(readFileSync(path)) }
  }
  const core = readFileSync(payloads.biosBoot.path)
  core.fill(0, 500, 512) // The block list's place.
  writeFileSync(payloads.biosBoot.path, core)
  const bootImage = join(folder, 'boot.img')
  writeFileSync(bootImage, Buffer.alloc(512, 'b'))
  return { layout: layoutStick(STICK, 'demo', payloads), stick: STICK, bootImage, payloads, isPrivate: false }
}

async function at(path: string, offset: number, length: number): Promise<Buffer> {
  const file = await open(path)
  const { buffer } = await file.read(Buffer.alloc(length), 0, length, offset)
  await file.close()
  return buffer
}

t.test('each payload stands at its place, byte for byte', async (t) => {
  const folder = t.testdir()
  const parts = makeParts(folder)
  const image = join(folder, 'demo.img')
  await assembleImage(parts, image, () => {})
  t.equal(statSync(image).size, parts.layout.sectors * SECTOR)
  for (const { payload, first, last } of parts.layout.partitions) {
    const place = await at(image, first * SECTOR, (last - first + 1) * SECTOR)
    if (payload === null) {
      t.ok(place.equals(Buffer.alloc(place.length)), 'the other slot is empty')
      continue
    }
    const bytes = readFileSync(parts.payloads[payload].path)
    // The core image has its own place written in: byte 500 to 512 (GRUB, boot/i386/pc/diskboot.S).
    const compared = payload === 'biosBoot' ? [0, 500] : [0, bytes.length]
    t.ok(place.subarray(...compared).equals(bytes.subarray(...compared)), payload)
    const behind = place.subarray(bytes.length)
    t.ok(behind.equals(Buffer.alloc(behind.length)), `nothing behind ${payload}`)
  }
})

t.test('the boot code and the core image know where the core image lies', async (t) => {
  const folder = t.testdir()
  const parts = makeParts(folder)
  await assembleImage(parts, join(folder, 'demo.img'), () => {})
  const core = biosBootFirst(STICK)
  const mbr = await at(join(folder, 'demo.img'), 0, 512)
  t.equal(mbr.readBigUInt64LE(0x5c), BigInt(core))
  t.match(decodeMbr(mbr), { protective: true, active: true })
  const first = await at(join(folder, 'demo.img'), core * SECTOR, 512)
  t.equal(first.readBigUInt64LE(500), BigInt(core + 1))
  t.equal(first.readUInt16LE(508), SIZES.biosBoot / SECTOR - 1)
})

t.test('a stick that no BIOS shall start has no boot code', async (t) => {
  const folder = t.testdir()
  const stick: StickPlan = { ...STICK, firmware: ['uefi', 'secureboot'] }
  await assembleImage({ ...makeParts(folder), stick }, join(folder, 'demo.img'), () => {})
  const mbr = await at(join(folder, 'demo.img'), 0, 512)
  t.ok(mbr.subarray(0, 440).equals(Buffer.alloc(440)))
  t.match(decodeMbr(mbr), { protective: true, active: false }, 'a protective MBR it has all the same')
})

t.test('holes stay holes', async (t) => {
  const folder = t.testdir()
  await assembleImage(makeParts(folder), join(folder, 'demo.img'), () => {})
  const { size, blocks } = statSync(join(folder, 'demo.img'))
  t.ok(size > 40 * MiB)
  // ESP, root, settings and the library's first MiB are full; tables, core image and the library's end are less than one more.
  t.ok(blocks * 512 < (8 + 5 + 1 + 1 + 1) * MiB, `${blocks * 512} bytes are allocated`)
})

t.test('progress tells each byte once', async (t) => {
  const folder = t.testdir()
  let told = 0
  await assembleImage(makeParts(folder), join(folder, 'demo.img'), (bytes) => {
    told += bytes
  })
  t.equal(told, SIZES.esp + SIZES.root + SIZES.settings + SIZES.library)
})

t.test('an image that is aborted leaves no file, and the old one as it was', async (t) => {
  const folder = t.testdir({ out: { 'demo.img': 'old' } })
  const image = join(folder, 'out', 'demo.img')
  const controller = new AbortController()
  const abort = () => controller.abort(new Interrupted())
  await t.rejects(assembleImage(makeParts(folder), image, abort, controller.signal), { code: 'interrupted' })
  t.strictSame(readdirSync(join(folder, 'out')), ['demo.img'])
  t.equal(readFileSync(image, 'utf8'), 'old')
})

t.test('a payload that is gone leaves no file', async (t) => {
  const folder = t.testdir({ out: {} })
  const parts = makeParts(folder)
  parts.payloads.library.path += '.none'
  await t.rejects(
    assembleImage(parts, join(folder, 'out', 'demo.img'), () => {}),
    { code: 'ENOENT' },
  )
  t.strictSame(readdirSync(join(folder, 'out')), [])
})

t.test('the same parts give the same bytes, and sgdisk takes them', async (t) => {
  if (!needTools(t, 'sgdisk')) return
  const folder = t.testdir()
  const parts = makeParts(folder)
  const [one, two] = [join(folder, 'one.img'), join(folder, 'two.img')]
  await assembleImage(parts, one, () => {})
  await assembleImage(parts, two, () => {})
  t.ok(readFileSync(one).equals(readFileSync(two)))
  const { stdout } = await systemTools.run({ tool: 'sgdisk', args: ['-v', one] })
  t.match(stdout, 'No problems found')
  t.notMatch(stdout, 'Creating new GPT entries')
})

t.test('an image with secrets is for the eyes of its owner', async (t) => {
  const folder = t.testdir()
  const image = join(folder, 'demo.img')
  await assembleImage({ ...makeParts(folder), isPrivate: true }, image, () => {})
  t.equal(statSync(image).mode & 0o777, 0o600)
})
