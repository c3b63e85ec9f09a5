/**
 * The library: one read-only file system with every guest's base image and definition, and a hash tree behind it.
 *
 * It is put together, not made: a head of some blocks (file system and index), then the bases as they are, then the tree.
 * What is kept of one is its head and its root hash, by which it is known; the rest goes straight to its place on an image
 * (`image/library.ts`).
 */
import { createReadStream } from 'node:fs'
import { join } from 'node:path'
import { canonicalJson, derivedUuid, type Json, sha256 } from '../base/digests.js'
import { onFile } from '../base/file-errors.js'
import { Keyed } from '../base/keyed.js'
import { type Bytes, KiB } from '../base/units.js'
import { writeFile } from '../base/write-file.js'
import { EROFS_BLOCK, encodeErofs } from '../disk/erofs.js'
import { DIGEST_BYTES, treeBytes, upperTree, VERITY_BLOCK, verityLeaves } from '../disk/verity.js'
import {
  type Drive,
  type Guest,
  type GuestNetwork,
  LIBRARY_VERSION,
  type LibraryFile,
  type LibraryGuest,
  type LibraryIndex,
} from '../guest/definition.js'
import { basesOf, onBase } from '../guest/drives.js'
import type { Digested, LibraryFacts } from '../guest/library.js'
import {
  objectOf,
  type SizeOf,
  type Stage,
  type StageDefinition,
  type StageOutput,
  type StageResult,
  type Workbench,
} from '../store/stage.js'
import type { Base, BaseFile } from './base.js'
import type { StageName } from './source.js'

export interface LibraryInputs {
  /** Of the profile. */
  name: string
  network: GuestNetwork
  /** Their bases are known by the stages that make or take them. */
  guests: Guest<StageName>[]
  epoch: number
  /** Bases that are files of the user's. Where one lies is in no key. */
  given: Record<StageName, Digested & { path: Keyed<string> }>
}

/** @param bases of all guests, by the stages of the plan */
export function libraryStage(
  inputs: Omit<LibraryInputs, 'given'>,
  bases: Record<StageName, Base>,
): StageDefinition<LibraryInputs> {
  const reads: Record<StageName, Stage> = Object.create(null)
  const given: LibraryInputs['given'] = Object.create(null)
  for (const [name, base] of Object.entries(bases)) {
    if (base.kind === 'made') reads[name] = base.stage
    else given[name] = { ...base.file, path: new Keyed(base.file.path, '') }
  }
  const room = (sizeOf: SizeOf) => {
    const made = Object.values(reads).map((base) => sizeOf(base, 'disk'))
    const all = [...made, ...new Map(Object.values(given).map(({ sha256, size }) => [sha256, size])).values()]
    const content = all.reduce((sum, size) => sum + size, 0)
    const leaves = Math.ceil(content / LEAVES_SHARE)
    return { scratch: leaves, result: HEAD_ROOM + leaves, objects: { library: librarySize(content) } }
  }
  return {
    name: 'library',
    title: 'put the library together',
    program: 'sources/library',
    inputs: { ...inputs, given },
    reads,
    room,
    make: makeLibrary,
  }
}

/** Leaves of 32 bytes for blocks of 4 KiB. */
const LEAVES_SHARE = VERITY_BLOCK / DIGEST_BYTES.sha256

/** More than the index of any profile takes. */
const HEAD_ROOM: Bytes = 256 * KiB

function librarySize(content: Bytes): Bytes {
  const data = HEAD_ROOM + content
  return data + treeBytes(Math.ceil(data / VERITY_BLOCK), VERITY_BLOCK, DIGEST_BYTES.sha256)
}

async function makeLibrary(
  { scratch, leaves }: Workbench,
  { given, ...inputs }: LibraryInputs,
  read: Record<StageName, StageResult>,
): Promise<StageOutput> {
  const baseOf = (stage: StageName): BaseFile => {
    const file = given[stage]
    return file ? { ...file, path: file.path.value } : objectOf(read[stage] as StageResult, 'disk')
  }
  const index = libraryIndex(inputs, baseOf)
  const paths = new Map(basesOf(inputs.guests).map((stage) => [baseOf(stage).sha256, baseOf(stage)]))
  const files = distinctFiles(index)
  const { head, offsets, end } = encodeHead(index, files, inputs.epoch)
  const tree = upperTree()
  tree.add(verityLeaves(head))
  for (const { sha256 } of files) {
    const path = await leaves(paths.get(sha256) as BaseFile)
    await onFile(path, async () => {
      for await (const piece of createReadStream(path, { highWaterMark: 1 << 20 })) tree.add(piece as Buffer)
    })
  }
  const { rootHash } = tree.finish()
  const path = join(scratch, 'head')
  await writeFile(path, head)
  const facts: LibraryFacts = {
    rootHash,
    offset: end,
    size: end + treeBytes(end / VERITY_BLOCK, VERITY_BLOCK, DIGEST_BYTES.sha256),
    treeUuid: derivedUuid('verity', rootHash),
    files: files.map(({ sha256, size }, place) => ({ sha256, size, offset: offsets[place] as Bytes })),
    bases: basesByStage(inputs.guests, baseOf),
  }
  return { files: { head: path }, facts: facts as unknown as Record<string, Json> }
}

function basesByStage(
  guests: Guest<StageName>[],
  baseOf: (stage: StageName) => Digested,
): Record<StageName, Digested> {
  const bases: Record<StageName, Digested> = Object.create(null)
  for (const stage of basesOf(guests)) {
    const { sha256, size } = baseOf(stage)
    bases[stage] = { sha256, size }
  }
  return bases
}

/** Each base once, whatever number of guests has it. */
function distinctFiles({ guests }: LibraryIndex): LibraryFile[] {
  return [...new Map(basesOf(guests).map((base) => [base.file, base])).values()]
}

/** The file system up to the first base, the index in it. */
function encodeHead(
  index: LibraryIndex,
  files: LibraryFile[],
  epoch: number,
): { head: Buffer; offsets: Bytes[]; end: Bytes } {
  const text = Buffer.from(`${JSON.stringify(index, null, 1)}\n`)
  const all = [
    { name: INDEX_FILE, size: text.length },
    ...files.map(({ file, size }) => ({ name: file, size })),
  ]
  const uuid = derivedUuid('library', sha256(text))
  const { metadata, offsets, size } = encodeErofs({ label: 'library', uuid, epoch, files: all })
  const blocks = Math.ceil(text.length / EROFS_BLOCK)
  return {
    head: Buffer.concat([metadata, text], metadata.length + blocks * EROFS_BLOCK),
    offsets: offsets.slice(1),
    end: size,
  }
}

/** The index, in the library's only folder. */
const INDEX_FILE = 'guests.json'

/**
 * What the library carries for the stick to read.
 *
 * @param made the base of a stage
 */
export function libraryIndex(
  { name, network, guests }: Pick<LibraryInputs, 'name' | 'network' | 'guests'>,
  made: (stage: StageName) => Digested,
): LibraryIndex {
  const onLibrary = (drive: Drive<StageName>) =>
    onBase(drive, (stage) => libraryFile(drive.kind, made(stage)))
  return {
    version: LIBRARY_VERSION,
    name,
    network,
    guests: guests.map((guest): LibraryGuest => {
      const definition = { ...guest, drives: guest.drives.map(onLibrary) }
      return { ...definition, definition: sha256(canonicalJson(definition as unknown as Json)) }
    }),
  }
}

/** virt-aa-helper lets a QEMU read what ends as images do, and nothing else. */
function libraryFile(kind: Drive<unknown>['kind'], { sha256, size }: Digested): LibraryFile {
  return { file: `${sha256}.${kind === 'cdrom' ? 'iso' : 'qcow2'}`, sha256, size }
}
