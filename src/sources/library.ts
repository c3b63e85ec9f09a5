/**
 * The library: one read-only file system with every guest's base image and definition, and a verity tree behind it.
 */
import { chmod, mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { canonicalJson, derivedUuid, type Json, type Sha256, sha256 } from '../base/digests.js'
import { alignUp, type Bytes, KiB, MiB } from '../base/units.js'
import { writeFile } from '../base/write-file.js'
import { writeExt4 } from '../disk/ext4.js'
import { appendHashTree } from '../disk/hash-tree.js'
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
import {
  objectOf,
  readOf,
  type SizeOf,
  type Stage,
  type StageDefinition,
  type StageOutput,
  type StageResult,
  type Workbench,
} from '../store/stage.js'
import type { StageName } from './source.js'

export interface LibraryInputs {
  /** Of the profile. */
  name: string
  network: GuestNetwork
  /** Their bases are known by the stages that make them. */
  guests: Guest<StageName>[]
  epoch: number
}

/** A library is larger than its disks by its file system and hash tree: 7 % on the demo. */
const SIZE_FACTOR = 1.07

/** @param reads every base, by the name of its stage */
export function libraryStage(
  inputs: LibraryInputs,
  reads: Record<string, Stage>,
): StageDefinition<LibraryInputs> {
  const room = (sizeOf: SizeOf) => {
    const disks = Object.values(reads).reduce((sum, base) => sum + sizeOf(base, 'disk'), 0)
    const library = Math.ceil(MiB + disks * SIZE_FACTOR)
    return { scratch: library, result: library, objects: { library } }
  }
  return {
    name: 'library',
    title: 'pack the library',
    program: 'sources/library',
    inputs,
    reads,
    room,
    make: makeLibrary,
  }
}

/** What ext4 needs for itself: inode tables and bitmaps take some 1.6 % of a file system, and a little always. */
const OVERHEAD = { percent: 3, least: 8 * MiB }

/** Base images are linked into the folder that mke2fs reads. */
async function makeLibrary(
  { scratch, tools, link }: Workbench,
  inputs: LibraryInputs,
  read: Record<string, StageResult>,
): Promise<StageOutput> {
  const folder = join(scratch, 'library')
  const image = join(scratch, 'library.ext4')
  const index = libraryIndex(inputs, (stage) => objectOf(readOf(read, stage), 'disk'))
  const text = `${JSON.stringify(index, null, 1)}\n`
  await mkdir(folder)
  await writeFile(join(folder, 'guests.json'), text)
  // Whatever the builder's umask: mke2fs takes modes as they are.
  await chmod(join(folder, 'guests.json'), 0o644)
  const bases = [...new Map(basesOf(index.guests).map((base) => [base.file, base])).values()]
  for (const { sha256, file } of bases) await link(sha256, join(folder, file))
  const content = bases.reduce((sum, base) => sum + alignUp(base.size, 4 * KiB), text.length)
  const size = alignUp(Math.ceil((content * (100 + OVERHEAD.percent)) / 100) + OVERHEAD.least, MiB)
  const uuid = derivedUuid('library', sha256(text))
  await writeExt4({ label: 'library', uuid, size, epoch: inputs.epoch, readOnly: true }, folder, image, tools)
  return { files: { library: image }, facts: { ...(await appendHashTree(image, tools)) } }
}

/**
 * What the library carries for the stick to read.
 *
 * @param made what a stage made that is a base
 */
export function libraryIndex(
  { name, network, guests }: Omit<LibraryInputs, 'epoch'>,
  made: (stage: StageName) => { sha256: Sha256; size: Bytes },
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
function libraryFile(
  kind: Drive<unknown>['kind'],
  { sha256, size }: { sha256: Sha256; size: Bytes },
): LibraryFile {
  return { file: `${sha256}.${kind === 'cdrom' ? 'iso' : 'qcow2'}`, sha256, size }
}
