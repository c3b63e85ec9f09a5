/**
 * Diff: how two images differ, from the partition table down to the first byte of a file; or how two manifests do.
 *
 * Images come from outside: our own code reads tables and FAT, and other people's tools get time and memory limits.
 * Left out: the inside of a guest's disk, of which the manifests beside the images know the packages.
 */
import { type FileHandle, mkdir } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import type { Json } from '../base/digests.js'
import { KeyvisorError } from '../base/errors.js'
import type { ToolRunner } from '../base/tool.js'
import { exitStatus } from '../base/tool-errors.js'
import { type Bytes, SECTOR } from '../base/units.js'
import { openUserFile } from '../base/user-file.js'
import { piecesReader, readFat } from '../disk/fat-read.js'
import type { ReadAt } from '../disk/gpt.js'
import { withoutProtective } from '../disk/mbr.js'
import { type ComparedFile, changesOf, compareFiles, type Difference, firstDifference } from './compare.js'
import { type InspectedPartition, type Inspection, inspectImage, readerOf } from './inspect.js'
import { libraryFiles } from './library-files.js'
import { isManifest, manifestDifferences, readBeside } from './manifests.js'
import { packageDifferences, rootVersions } from './packages.js'
import { squashfsFiles } from './squashfs-files.js'

export interface DiffOptions {
  /** Where `unsquashfs` and `prlimit` come from. */
  tools: ToolRunner
  /** An empty folder for what is unpacked, with room for two roots; the caller removes it. */
  scratch: string
  signal?: AbortSignal
}

export interface ImageDiff {
  /** Both as the user named them. */
  a: string
  b: string
  /** Byte for byte; of manifests: in everything that they say. */
  same: boolean
  differences: Difference[]
  /** What could not be looked into, and why, one sentence each. */
  notes: string[]
}

/**
 * Compares two images that `build` wrote, or two manifests, or an image's manifest with one. Throws what `inspectImage`
 * throws, and `not-a-manifest`.
 */
export async function diffImages(a: string, b: string, options: DiffOptions): Promise<ImageDiff> {
  const { differences, notes } =
    (await isManifest(a)) || (await isManifest(b))
      ? { differences: await manifestDifferences(a, b), notes: [] }
      : await diffDisks(a, b, options)
  return { a, b, same: differences.length === 0, differences, notes }
}

interface Found {
  differences: Difference[]
  notes: string[]
}

/** One of the two images. */
interface Opened {
  path: string
  read: ReadAt
  size: Bytes
  inspection: Inspection
}

async function diffDisks(a: string, b: string, options: DiffOptions): Promise<Found> {
  const files: FileHandle[] = []
  const opened = async (path: string): Promise<Opened> => {
    const inspection = await inspectImage(path)
    const file = await openUserFile(path)
    files.push(file)
    return { path, read: readerOf(path, file), size: inspection.size, inspection }
  }
  try {
    const [one, other] = [await opened(a), await opened(b)]
    const at = await firstDifference(one, other)
    if (at === null) return { differences: [], notes: [] }
    const found = await diffOpened(one, other, options)
    if (found.differences.length > 0) return found
    // Such as a gap between partitions.
    const whole = { part: 'image', item: '', field: 'bytes', a: one.size, b: other.size, at }
    return { ...found, differences: [whole] }
  } finally {
    for (const file of files) await file.close()
  }
}

async function diffOpened(a: Opened, b: Opened, options: DiffOptions): Promise<Found> {
  const differences = [...layoutChanges(a, b), ...(await bootCodeChanges(a, b))]
  differences.push(...changesOf('manifest', a.inspection.manifest, b.inspection.manifest))
  const notes: string[] = []
  for (const [index, one] of a.inspection.partitions.entries()) {
    const other = b.inspection.partitions.find(({ name }) => name === one.name)
    // One that only one of them has is in the layout's changes.
    if (!other) continue
    options.signal?.throwIfAborted()
    const folder = join(options.scratch, String(index))
    await mkdir(folder)
    const found = await diffPartitions({ ...a, partition: one }, { ...b, partition: other }, folder, options)
    differences.push(...found.differences)
    notes.push(...found.notes)
  }
  const [one, other] = [await readBeside(a.path), await readBeside(b.path)]
  if (one && other) differences.push(...packageDifferences(one, other, /^guest /))
  else if (differences.some(({ part }) => part === 'library'))
    notes.push('packages of guests were not compared: that takes the manifests beside both images')
  return { differences, notes }
}

// ------------------------------------------------------------------------------------ tables

function layoutChanges({ inspection: a }: Opened, { inspection: b }: Opened): Difference[] {
  return changesOf('layout', a.layout as unknown as Json, b.layout as unknown as Json)
}

async function bootCodeChanges(a: Opened, b: Opened): Promise<Difference[]> {
  const at = await firstDifference(firstSector(a), firstSector(b))
  if (at === null) return []
  return [{ part: 'boot code', item: '', field: 'bytes', a: SECTOR, b: SECTOR, at }]
}

function firstSector({ read }: Opened): { read: ReadAt; size: Bytes } {
  return { size: SECTOR, read: async (offset, length) => withoutProtective(await read(offset, length)) }
}

// ------------------------------------------------------------------------------------ partitions

interface Place extends Opened {
  partition: InspectedPartition
}

async function diffPartitions(a: Place, b: Place, folder: string, options: DiffOptions): Promise<Found> {
  const [one, other] = [sideOf(a), sideOf(b)]
  const part = a.partition.name
  const at = await firstDifference(one, other)
  if (at === null || at >= Math.min(one.size, other.size)) return { differences: [], notes: [] }
  const whole: Difference = { part, item: '', field: 'bytes', a: one.size, b: other.size, at }
  if (a.partition.content.kind !== b.partition.content.kind) return { differences: [whole], notes: [] }
  try {
    const inside = await diffContents(a, b, folder, options.tools)
    return { differences: inside.length > 0 ? inside : [whole], notes: [] }
  } catch (error) {
    if (!isOfTheImage(error)) throw error
    return { differences: [whole], notes: [`the files of ${part} were not compared: ${reasonOf(error)}`] }
  }
}

/** Why files can stay uncompared: damage, what is more than a tool's limits, a tool that this machine lacks. */
function isOfTheImage(error: unknown): error is KeyvisorError {
  if (exitStatus(error) !== undefined) return true
  const codes = [
    'tool-missing',
    'tool-timeout',
    'tool-killed',
    'squashfs-damaged',
    'fat-damaged',
    'library-damaged',
  ]
  return error instanceof KeyvisorError && codes.includes(error.code)
}

/** A tool's last word, where it has one. */
function reasonOf({ message }: KeyvisorError): string {
  const lines = message.split('\n')
  return (lines.at(-1) as string).replace(/^ *\| /, '')
}

function sideOf({ read, partition }: Place): { read: ReadAt; size: Bytes } {
  const start = partition.first * SECTOR
  return {
    read: (offset, length) => read(start + offset, length),
    size: (partition.last - partition.first + 1) * SECTOR,
  }
}

/** Empty where the files are the same, or where there are none. */
async function diffContents(a: Place, b: Place, folder: string, tools: ToolRunner): Promise<Difference[]> {
  const one = await listing(a, join(folder, 'a'), tools)
  try {
    const other = await listing(b, join(folder, 'b'), tools)
    try {
      return await diffFiles(a.partition.name, one.files, other.files)
    } finally {
      await other.close()
    }
  } finally {
    await one.close()
  }
}

async function diffFiles(
  part: string,
  one: readonly ComparedFile[],
  other: readonly ComparedFile[],
): Promise<Difference[]> {
  const [packages, others] = [await rootVersions(one), await rootVersions(other)]
  const versions = packages && others ? changesOf('packages of the host', packages, others) : []
  return [...versions, ...(await compareFiles(part, one, other))]
}

interface Listing {
  files: ComparedFile[]
  close: () => Promise<void>
}

async function listing(place: Place, folder: string, tools: ToolRunner): Promise<Listing> {
  const { partition, path } = place
  const offset = partition.first * SECTOR
  await mkdir(folder)
  switch (partition.content.kind) {
    case 'fat':
      return { files: await fatFiles(sideOf(place).read), close: async () => {} }
    case 'squashfs':
      return squashfsFiles(resolve(path), offset, join(folder, 'files'), tools)
    case 'erofs':
      return { files: await libraryFiles(sideOf(place).read), close: async () => {} }
    default:
      return { files: [], close: async () => {} }
  }
}

async function fatFiles(read: ReadAt): Promise<ComparedFile[]> {
  const { files } = await readFat(read)
  return files.map(({ path, size, pieces }) => ({ path, facts: {}, size, read: piecesReader(read, pieces) }))
}
