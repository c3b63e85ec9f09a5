/**
 * The library: one read-only file system with every guest's base image and definition, and a verity tree behind it.
 */
import { chmod, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { canonicalJson, derivedUuid, type Json, type Sha256, sha256 } from '../base/digests.js'
import { alignUp, type Bytes, KiB, MiB } from '../base/units.js'
import { writeExt4 } from '../disk/ext4.js'
import { appendHashTree } from '../disk/hash-tree.js'
import type { GuestDefinition, GuestNetwork, LibraryIndex } from '../guest/definition.js'
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

export interface LibraryInputs {
  /** Of the profile. */
  name: string
  network: GuestNetwork
  guests: GuestDefinition[]
  epoch: number
}

/** A library is larger than its disks by its file system and hash tree: 7 % on the demo. */
const SIZE_FACTOR = 1.07

/** @param reads the base image of each guest, as `base.GUEST` */
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
  const text = `${JSON.stringify(
    libraryIndex(inputs, (guest) => baseOf(read, guest).sha256),
    null,
    1,
  )}\n`
  await mkdir(folder)
  await writeFile(join(folder, 'guests.json'), text)
  // Whatever the builder's umask: mke2fs takes modes as they are.
  await chmod(join(folder, 'guests.json'), 0o644)
  const bases = inputs.guests.map(({ name }) => baseOf(read, name))
  const unique = [...new Map(bases.map((base) => [base.sha256, base])).values()]
  for (const { sha256 } of unique) await link(sha256, join(folder, baseFile(sha256)))
  const content = unique.reduce((sum, base) => sum + alignUp(base.size, 4 * KiB), text.length)
  const size = alignUp(Math.ceil((content * (100 + OVERHEAD.percent)) / 100) + OVERHEAD.least, MiB)
  const uuid = derivedUuid('library', sha256(text))
  await writeExt4({ label: 'library', uuid, size, epoch: inputs.epoch, readOnly: true }, folder, image, tools)
  return { files: { library: image }, facts: { ...(await appendHashTree(image, tools)) } }
}

function baseOf(read: Record<string, StageResult>, guest: string): { sha256: Sha256; size: Bytes } {
  return objectOf(readOf(read, `base.${guest}`), 'disk')
}

function baseFile(digest: Sha256): string {
  return `${digest}.qcow2`
}

/**
 * What the library carries for the stick to read.
 *
 * @param baseDigest digest of the finished base image of a guest
 */
export function libraryIndex(
  { name, network, guests }: Omit<LibraryInputs, 'epoch'>,
  baseDigest: (guest: string) => Sha256,
): LibraryIndex {
  return {
    version: 1,
    name,
    network,
    guests: guests.map((guest) => {
      const digest = baseDigest(guest.name)
      return {
        ...guest,
        base: { file: baseFile(digest), sha256: digest, size: guest.disk.size },
        definition: sha256(canonicalJson([guest as unknown as Json, digest])),
      }
    }),
  }
}
