/**
 * Parts of small images: payloads that are full of one letter each, and a library of bases that a test has.
 */
import {
  closeSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readFileSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { sha256, sha256File } from '../../src/base/digests.js'
import { silent } from '../../src/base/progress.js'
import { systemTools } from '../../src/base/tool.js'
import { type Bytes, KiB, MiB, SECTOR } from '../../src/base/units.js'
import type { ImageFormat } from '../../src/disk/image.js'
import { type AssemblyParts, assembleImage } from '../../src/image/assemble.js'
import type { BaseBytes } from '../../src/image/library.js'
import { type LaidPayload, type Layout, layoutStick } from '../../src/stick/layout.js'
import type { PayloadName } from '../../src/stick/partitions.js'
import { Store } from '../../src/store/store.js'
import type { Workplace } from '../../src/store/workplace.js'
import { libraryOf } from './library.js'
import { smallStick } from './stick.js'
import { seeded } from './tools.js'

export const STICK = smallStick({ esp: 8 * MiB, secondEsp: 4 * MiB, rootSlot: 16 * MiB, settings: 2 * MiB })

type Sizes = Record<Exclude<PayloadName, 'library'>, Bytes>

/** A store below `folder`, where leaves are kept. */
export async function placeIn(folder: string): Promise<Workplace> {
  return { store: await Store.open(join(folder, 'store')), progress: silent }
}

/** A base of a file as it is now. */
export async function baseOf(path: string, format: ImageFormat | null): Promise<BaseBytes> {
  return { path, format, ...(await sha256File(path)) }
}

export async function assemblyParts(
  folder: string,
  bases: readonly BaseBytes[],
  place: Workplace,
  sizes: Sizes,
): Promise<AssemblyParts> {
  const path = (name: string) => join(folder, name)
  const laid = {} as Record<PayloadName, LaidPayload>
  for (const [index, name] of (Object.keys(sizes) as (keyof Sizes)[]).entries()) {
    const bytes = Buffer.alloc(sizes[name], 'BERS'[index])
    if (name === 'biosBoot') bytes.fill(0, 500, 512) // The block list's place.
    writeFileSync(path(name), bytes)
    laid[name] = { digest: sha256(bytes), size: bytes.length }
  }
  const bootImage = path('boot.img')
  writeFileSync(bootImage, Buffer.alloc(512, 'b'))
  const library = await libraryOf(folder, bases, place)
  laid.library = { digest: library.facts.rootHash, size: library.facts.size }
  const payloads = {
    biosBoot: path('biosBoot'),
    esp: path('esp'),
    root: path('root'),
    settings: path('settings'),
  }
  const layout = layoutStick(STICK, 'demo', laid)
  return { layout, stick: STICK, bootImage, payloads, library, isPrivate: false }
}

/** Where a partition begins on an image. */
export function startOf({ partitions }: Layout, name: string): Bytes {
  const found = partitions.find((one) => one.name === name)
  if (!found) throw new Error(`BUG: there is no partition ${name}`)
  return found.first * SECTOR
}

/** What the library of finished parts begins with: its head, and each base at its place. */
export function fileSystemOf({ library }: AssemblyParts): Buffer {
  const bytes = Buffer.alloc(library.facts.offset)
  readFileSync(library.head).copy(bytes)
  for (const { sha256, offset } of library.facts.files) {
    const base = library.bases.find((one) => one.sha256 === sha256)
    if (base) readFileSync(base.path).copy(bytes, offset)
  }
  return bytes
}

export async function bytesAt(path: string, offset: Bytes, length: Bytes): Promise<Buffer> {
  const file = await open(path)
  const { buffer } = await file.read(Buffer.alloc(length), 0, length, offset)
  await file.close()
  return buffer
}

export const allocated = (path: string): Bytes => statSync(path).blocks * 512

// ------------------------------------------------------------------------------------ the library alone

/** An ISO of a size with random bytes here and there, and many holes (ECMA-119, section 8.4: sector 16). */
export function writeIso(path: string, size: Bytes, seed = 1): void {
  const random = seeded(seed)
  const file = openSync(path, 'w')
  ftruncateSync(file, size)
  const descriptor = Buffer.alloc(2048)
  descriptor.write('\x01CD001\x01', 'latin1')
  descriptor.writeUInt32LE(Math.floor(size / 2048), 80)
  descriptor.writeUInt16LE(2048, 128)
  writeSync(file, descriptor, 0, 2048, 16 * 2048)
  const words = new Uint32Array(64 * KiB)
  for (let at = MiB; at + words.byteLength <= size; at += MiB) {
    if (random(3) === 0) continue
    for (let index = 0; index < 1024; index++) words[index] = random(2 ** 32)
    writeSync(file, Buffer.from(words.buffer), 0, words.byteLength, at)
  }
  closeSync(file)
}

/** Payloads that are there. */
const LEAST: Sizes = { biosBoot: 4096, esp: 4096, root: 4096, settings: 4096 }

export interface LibraryBench {
  folder: string
  place: Workplace
  parts: AssemblyParts
  image: string
  write(onBytes?: (bytes: Bytes) => void, parts?: AssemblyParts): Promise<void>
}

/** An image of these bases, in a folder `out` of its own below `folder`. */
export async function libraryBench(folder: string, bases: readonly BaseBytes[]): Promise<LibraryBench> {
  const place = await placeIn(folder)
  const parts = await assemblyParts(folder, bases, place, LEAST)
  mkdirSync(join(folder, 'out'))
  const image = join(folder, 'out', 'demo.img')
  return {
    folder,
    place,
    parts,
    image,
    write: (onBytes = () => {}, other = parts) => assembleImage(other, image, onBytes, place, systemTools),
  }
}
