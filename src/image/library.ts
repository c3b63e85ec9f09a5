/**
 * The library at its place on an image: its head, its bases, and the hash tree that is strung together of their leaves.
 *
 * A base is digested while it is written, whatever was known of it before: what was locked is what is on the image. One of
 * the user's is then looked at where it stands now, by the gate that it passed at `validate`, and by qemu-img.
 */
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { type FileHandle, readFile } from 'node:fs/promises'
import { onFile } from '../base/file-errors.js'
import type { ToolRunner } from '../base/tool.js'
import { alignUp, type Bytes } from '../base/units.js'
import { openUserFile } from '../base/user-file.js'
import type { ImageFormat } from '../disk/image.js'
import { copySparse, writeAt } from '../disk/sparse.js'
import { encodeVerity, upperTree, VERITY_BLOCK, verityLeaves } from '../disk/verity.js'
import type { LibraryFacts } from '../guest/library.js'
import type { BaseFile } from '../sources/base.js'
import { imageChanged } from '../sources/image/changed.js'
import { checkBase } from '../sources/image/disk.js'
import { cloneRange, type KeptImage } from './kept.js'

/** A base, and where it is read from. */
export interface BaseBytes extends BaseFile {
  /** Of a file of the user's; null for one that a stage made. */
  format: ImageFormat | null
}

export interface LibraryParts {
  facts: LibraryFacts
  /** File of what stands before the bases. */
  head: string
  bases: readonly BaseBytes[]
  /** Path of a base's leaves. */
  leaves(base: BaseFile): Promise<string>
}

/** An image that is being written. */
export interface Target {
  path: string
  file: FileHandle
  /** Where the library begins. */
  at: Bytes
}

interface LaidBase extends BaseBytes {
  offset: Bytes
}

/** Writes the library, of which no byte may be there yet. Throws `image-changed`. */
export async function writeLibrary(
  parts: LibraryParts,
  target: Target,
  kept: KeptImage | undefined,
  onBytes: (bytes: Bytes) => void,
): Promise<void> {
  const head = await readFile(parts.head)
  await writeAt(target.file, head, target.at)
  onBytes(head.length)
  const bases = laidBases(parts)
  for (const base of bases) {
    const place = { ...target, at: target.at + base.offset }
    if (!(kept && (await copyKept(base, kept, place, onBytes)))) await copyBase(base, place, onBytes)
  }
  await kept?.check()
  await writeTree(parts, bases, head, target, onBytes)
}

function laidBases({ facts, bases }: LibraryParts): LaidBase[] {
  return facts.files.map(({ sha256, offset }) => {
    const base = bases.find((one) => one.sha256 === sha256)
    if (!base) throw new Error(`BUG: nobody has the base ${sha256}`)
    return { ...base, offset }
  })
}

async function copyBase(
  base: BaseBytes,
  { file, at }: Target,
  onBytes: (bytes: Bytes) => void,
): Promise<void> {
  const source = await openUserFile(base.path)
  const hash = createHash('sha256')
  let size = 0
  const take = (bytes: Buffer) => {
    size += bytes.length
    // One that grows must not run into what stands behind it.
    if (size > base.size) throw imageChanged(base.path)
    hash.update(bytes)
    onBytes(bytes.length)
  }
  try {
    await onFile(base.path, () => copySparse(source, file, at, take))
  } finally {
    await source.close()
  }
  if (size !== base.size || hash.digest('hex') !== base.sha256) throw imageChanged(base.path)
}

/** False where the last image does not have the base, or the file system cannot share it: reading the base itself is as quick. */
async function copyKept(
  { sha256, size }: BaseBytes,
  kept: KeptImage,
  to: Target,
  onBytes: (bytes: Bytes) => void,
): Promise<boolean> {
  const at = kept.offsets[sha256]
  if (at === undefined) return false
  const from = { path: kept.path, at, bytes: alignUp(size, VERITY_BLOCK) }
  if (!(await cloneRange(from, to))) return false
  onBytes(size)
  return true
}

async function writeTree(
  { facts, leaves }: LibraryParts,
  bases: readonly LaidBase[],
  head: Buffer,
  { file, at }: Target,
  onBytes: (bytes: Bytes) => void,
): Promise<void> {
  const paths = await Promise.all(bases.map(leaves))
  async function* all(): AsyncGenerator<Buffer> {
    yield verityLeaves(head)
    for (const path of paths) yield* createReadStream(path, { highWaterMark: 1 << 20 })
  }
  const tree = upperTree()
  for await (const piece of all()) tree.add(piece)
  const { rootHash, levels } = tree.finish()
  if (rootHash !== facts.rootHash) throw new Error(`BUG: the library's root hash is ${rootHash}`)
  const upper = Buffer.concat([encodeVerity(facts.treeUuid, facts.offset / VERITY_BLOCK), levels])
  let to = at + facts.offset
  await writeAt(file, upper, to)
  to += upper.length
  for await (const piece of all()) {
    await writeAt(file, piece, to)
    to += piece.length
  }
  onBytes(facts.size - facts.offset)
}

/** Looks at the user's files where they stand on the image now. Throws what `checkBase` throws. */
export async function checkBases(
  parts: LibraryParts,
  { path, at }: Pick<Target, 'path' | 'at'>,
  tools: ToolRunner,
): Promise<void> {
  for (const { format, offset, size, path: name } of laidBases(parts)) {
    if (format) await checkBase({ path, at: at + offset, size, name, format }, tools)
  }
}
