/**
 * Inspect: what is on an image or a stick, read from its own bytes. Reads, never repairs.
 *
 * Left out: whether what a partition holds is sound. Other people's checkers tell that.
 */

import type { Stats } from 'node:fs'
import type { FileHandle } from 'node:fs/promises'
import type { Json } from '../base/digests.js'
import { allocatedBytes } from '../base/disk-usage.js'
import { KeyvisorError } from '../base/errors.js'
import { errorHint, errorWords } from '../base/file-errors.js'
import { alignUp, type Bytes, formatBytes, KiB, type Lba, MiB, SECTOR } from '../base/units.js'
import { openUserFile } from '../base/user-file.js'
import { printable } from '../disk/bytes.js'
import { readFat, readPieces } from '../disk/fat-read.js'
import { fileReader } from '../disk/file-reader.js'
import { type Gpt, type GptPartition, type ReadAt, readGpt } from '../disk/gpt.js'
import { bootCodeTarget } from '../disk/grub.js'
import { type Content, IDENTIFY_BYTES, identify } from '../disk/identify.js'
import { decodeMbr, type Mbr } from '../disk/mbr.js'
import { PARTITION_TYPE } from '../disk/partition-type.js'
import {
  decodeVerity,
  VERITY_SUPERBLOCK_BYTES,
  type VeritySuperblock,
  verityTreeBytes,
} from '../disk/verity.js'
import { dataBehind, type Layout, type LayoutPartition, smallestStick } from '../stick/layout.js'
import { ALIGNMENT } from '../stick/limits.js'
import { otherVersion } from '../stick/manifest.js'
import { partitionRow } from '../stick/partitions.js'
import { readDevice } from './device.js'

/** One partition, and what it holds. */
export interface InspectedPartition extends LayoutPartition {
  content: Content
  /** The hash tree behind the file system; null where there is none. */
  verity: VeritySuperblock | null
}

export interface Inspection {
  /** As the user named it. */
  path: string
  size: Bytes
  /** What it takes on the builder's disk: holes take nothing. Null for a stick, which takes nothing there. */
  allocated: Bytes | null
  layout: Layout
  partitions: InspectedPartition[]
  /** The manifest that the ESP carries; null when it is absent or cannot be read. */
  manifest: Json
  /** What is odd, one sentence each; empty for an image as it was built. */
  notes: string[]
}

/** Where the ESP keeps a copy of the manifest. */
export const MANIFEST_ON_ESP = '/keyvisor/manifest.json'

/** Where a hash tree can begin behind a file system: both file systems pad to this. */
const TREE_ALIGNMENT = 4 * KiB

/**
 * Reads an image; with `devices` also what is on a disk, such as `/dev/sdb`. Throws KeyvisorError `not-an-image` for what
 * is no GPT disk, and `image-damaged` when no copy of its GPT can be believed (a truncated download, for one), and `image-unreadable` where opening or reading it fails.
 */
export async function inspectImage(path: string, devices = false): Promise<Inspection> {
  const file = await openFile(path)
  try {
    const medium = await mediumOf(path, await file.stat(), devices)
    const read = readerOf(path, file)
    const disk = await readDisk(path, read, medium)
    const partitions = await Promise.all(
      disk.gpt.partitions.map((partition) => inspectPartition(read, partition)),
    )
    const { manifest, notes: manifestNotes } = await readManifest(read, partitions)
    return {
      path,
      ...medium,
      layout: layoutOf(disk.gpt, partitions, medium.size, manifest),
      partitions,
      manifest,
      notes: [
        ...disk.notes,
        ...bootNotes(disk.mbr, partitions, manifest),
        ...partitionNotes(partitions),
        ...manifestNotes,
      ],
    }
  } finally {
    await file.close()
  }
}

async function openFile(path: string): Promise<FileHandle> {
  try {
    return await openUserFile(path, true)
  } catch (cause) {
    if (cause instanceof KeyvisorError) throw cause
    const { code } = cause as NodeJS.ErrnoException
    if (code === 'ENOENT')
      throw new KeyvisorError('no-such-file', `${path} does not exist`, { hint: 'name an image', cause })
    const hint = code === 'EACCES' ? 'run this with sudo, or make it readable' : errorHint(cause)
    throw new KeyvisorError(UNREADABLE, `${path} cannot be opened: ${errorWords(cause)}`, { hint, cause })
  }
}

type Medium = Pick<Inspection, 'size' | 'allocated'>

async function mediumOf(path: string, stat: Stats, devices: boolean): Promise<Medium> {
  if (stat.isFile()) return { size: stat.size, allocated: allocatedBytes(stat) }
  if (!devices || !stat.isBlockDevice()) throw notAnImage(path, 'is not a file')
  const { size, isPartition } = await readDevice(stat.rdev)
  if (isPartition) throw notAnImage(path, 'is a partition', 'name the whole disk, such as /dev/sdb')
  return { size, allocated: null }
}

/** Reads of an image. Each throws KeyvisorError `image-unreadable` where the disk fails. */
export function readerOf(path: string, file: FileHandle): ReadAt {
  const read = fileReader(file)
  return (offset, length) =>
    read(offset, length).catch((cause) => {
      throw new KeyvisorError(UNREADABLE, `${path} cannot be read at byte ${offset}: ${errorWords(cause)}`, {
        hint: "look into the kernel's log (dmesg): the disk that it is on may fail",
        cause,
      })
    })
}

const UNREADABLE = 'image-unreadable'

// ------------------------------------------------------------------------------------ MBR and GPT

interface Disk {
  mbr: Mbr | undefined
  /** The copy that is believed: the primary where it is good. */
  gpt: Gpt
  notes: string[]
}

async function readDisk(path: string, read: ReadAt, medium: Medium): Promise<Disk> {
  const { size } = medium
  const sectors = Math.floor(size / SECTOR)
  const mbr = await attempt(async () => decodeMbr(await read(0, SECTOR)))
  const primary = await attempt(() => readGpt(read, 1, sectors))
  const backupLba = primary.value?.header.alternateLba ?? sectors - 1
  const backup = await attempt(() => readGpt(read, backupLba, sectors))
  const gpt = primary.value ?? backup.value
  if (!gpt) throw noDisk(path, [primary.error, backup.error])
  const notes = [...mbrNotes(mbr), ...copyNotes(primary, backup), ...sizeNotes(medium, primary.value ?? gpt)]
  return { mbr: mbr.value, gpt, notes }
}

/** A result, or what is wrong with the bytes; that they cannot be read passes through, and so do bugs. */
interface Attempt<T> {
  value?: T
  error?: KeyvisorError
}

async function attempt<T>(work: () => Promise<T>): Promise<Attempt<T>> {
  try {
    return { value: await work() }
  } catch (error) {
    if (error instanceof KeyvisorError && error.code !== UNREADABLE) return { error }
    throw error
  }
}

function noDisk(path: string, errors: (KeyvisorError | undefined)[]): KeyvisorError {
  const damage = errors.find((error) => error?.code === 'gpt-damaged')
  if (!damage) return notAnImage(path, 'has no GUID partition table')
  return new KeyvisorError('image-damaged', `${path}: ${damage.message}`, {
    hint: 'compare its size and checksum with those it was published with',
    cause: damage,
  })
}

const NAME_AN_IMAGE = 'name an image that `keyvisor build` wrote (unpack it first where it is compressed)'

function notAnImage(path: string, why: string, hint = NAME_AN_IMAGE): KeyvisorError {
  return new KeyvisorError('not-an-image', `${path} is not a disk image: it ${why}`, { hint })
}

function mbrNotes({ value, error }: Attempt<Mbr>): string[] {
  if (error) return [error.message]
  return value?.protective ? [] : ['LBA 0 is not a protective MBR: some firmware will not see the GPT']
}

function copyNotes(primary: Attempt<Gpt>, backup: Attempt<Gpt>): string[] {
  if (primary.error) return [`${primary.error.message}; the backup is good, and what follows is from it`]
  if (backup.error) return [`${backup.error.message}; the primary is good`]
  return describe(primary.value) === describe(backup.value) ? [] : ['the two copies of the GPT differ']
}

/** What both copies must agree on, as text to compare. */
function describe(gpt: Gpt | undefined): string {
  const { diskGuid, firstUsable, lastUsable } = gpt?.header ?? {}
  const partitions = gpt?.partitions.map((partition) => ({
    ...partition,
    attributes: `${partition.attributes}`,
  }))
  return JSON.stringify({ diskGuid, firstUsable, lastUsable, partitions })
}

function sizeNotes({ size, allocated }: Medium, { header }: Gpt): string[] {
  const end = Math.max(header.myLba, header.alternateLba) + 1
  if (size === end * SECTOR) return []
  if (allocated === null && size > end * SECTOR)
    return ["the GPT ends before the disk does: the stick's first start moves it to the end"]
  return [`the GPT ends at ${end} sectors, the file at ${size} bytes: it was made for a disk of another size`]
}

// ------------------------------------------------------------------------------------ Partitions

async function inspectPartition(read: ReadAt, partition: GptPartition): Promise<InspectedPartition> {
  const start = partition.first * SECTOR
  const content = identify(await read(start, Math.min(IDENTIFY_BYTES, sizeOf(partition))))
  const verity = await readTree(read, partition, content)
  const used = usedBytes(content, verity)
  const { number, name, type, guid, first, last } = partition
  return {
    number,
    name,
    type,
    guid,
    first,
    last,
    payload: used ? (partitionRow(name)?.payload ?? null) : null,
    used,
    content,
    verity,
  }
}

/** The hash tree of a file system stands right behind it. */
async function readTree(
  read: ReadAt,
  partition: GptPartition,
  content: Content,
): Promise<VeritySuperblock | null> {
  // ext4: the library of older sticks.
  if (content.kind !== 'squashfs' && content.kind !== 'erofs' && content.kind !== 'ext4') return null
  const offset = alignUp(content.bytes, TREE_ALIGNMENT)
  if (offset + VERITY_SUPERBLOCK_BYTES > sizeOf(partition)) return null
  return decodeVerity(await read(partition.first * SECTOR + offset, VERITY_SUPERBLOCK_BYTES)) ?? null
}

function usedBytes(content: Content, verity: VeritySuperblock | null): Bytes {
  if (!('bytes' in content)) return 0
  if (!verity) return content.bytes
  return alignUp(content.bytes, TREE_ALIGNMENT) + (verityTreeBytes(verity) ?? 0)
}

function sizeOf({ first, last }: { first: Lba; last: Lba }): Bytes {
  return (last - first + 1) * SECTOR
}

function partitionNotes(partitions: InspectedPartition[]): string[] {
  return partitions.flatMap(({ number, name, used, content, ...extent }) => {
    const label = `partition ${number} (${printable(name)})`
    if (used > sizeOf(extent))
      return [`${label} holds ${content.kind} of ${formatBytes(used)}, which is more than fits`]
    const expected = partitionRow(name)?.holds
    if (!expected || expected.includes(content.kind)) return []
    return [`${label} should hold ${expected[0]}, and holds ${content.kind}`]
  })
}

/** Unless the manifest says otherwise: one that cannot be read says nothing. */
function isForBios(manifest: Json): boolean {
  const firmware = member(manifest, 'firmware')
  return !Array.isArray(firmware) || firmware.includes('bios')
}

/** GRUB's boot code, its core image and the partition it stands in must agree, or a BIOS will not start the stick. */
function bootNotes(mbr: Mbr | undefined, partitions: InspectedPartition[], manifest: Json): string[] {
  const core = partitions.find(({ name }) => name === 'bios-boot')
  if (!mbr || !core) return []
  const target = bootCodeTarget(mbr.bootCode)
  const notes: string[] = []
  if (target === undefined && isForBios(manifest))
    notes.push('LBA 0 has no boot code of GRUB: a BIOS will not start this')
  else if (target !== undefined && target !== core.first)
    notes.push(`the boot code looks for GRUB at LBA ${target}; bios-boot begins at LBA ${core.first}`)
  if (target !== undefined && !mbr.active)
    notes.push('no record of the MBR is active: some BIOSes will not start this')
  if (core.content.kind === 'grub' && core.content.start !== core.first + 1)
    notes.push(
      `GRUB's core image was made for LBA ${core.content.start - 1}, and stands at LBA ${core.first}`,
    )
  return notes
}

// ------------------------------------------------------------------------------------ Manifest

/** A manifest names some thousand packages; a hostile FAT must not eat memory. */
const MOST_MANIFEST: Bytes = 64 * MiB

async function readManifest(
  read: ReadAt,
  partitions: InspectedPartition[],
): Promise<{ manifest: Json; notes: string[] }> {
  const esp = partitions.find(({ type, content }) => type === PARTITION_TYPE.esp && content.kind === 'fat')
  if (!esp) return { manifest: null, notes: ['there is no ESP, and so no manifest'] }
  const readEsp: ReadAt = (offset, length) => read(esp.first * SECTOR + offset, length)
  const { value, error } = await attempt(() => manifestText(readEsp))
  if (error) return { manifest: null, notes: [`the manifest was not read: ${error.message}`] }
  if (value === undefined)
    return { manifest: null, notes: [`the ESP has no readable manifest at ${MANIFEST_ON_ESP}`] }
  return parseManifest(value)
}

/** Undefined where the ESP has no such file. */
async function manifestText(read: ReadAt): Promise<string | undefined> {
  const { files } = await readFat(read)
  const found = files.find(({ path }) => path.toLowerCase() === MANIFEST_ON_ESP)
  if (!found || found.size > MOST_MANIFEST) return undefined
  return (await readPieces(read, found.pieces)).toString('utf8')
}

function parseManifest(text: string): { manifest: Json; notes: string[] } {
  try {
    const manifest = JSON.parse(text) as Json
    const other = otherVersion(manifest)
    return { manifest, notes: other ? [`the manifest ${other}`] : [] }
  } catch {
    return { manifest: null, notes: [`the manifest at ${MANIFEST_ON_ESP} is not JSON`] }
  }
}

// ------------------------------------------------------------------------------------ Layout

function layoutOf(gpt: Gpt, partitions: InspectedPartition[], size: Bytes, manifest: Json): Layout {
  const last = partitions.at(-1)
  // Where first boot has made it, data is the last one.
  const minimum = bytesOf(member(manifest, 'dataMinimum')) ?? 0
  const data = last?.name === 'library' ? dataBehind(last.last, minimum, ALIGNMENT) : null
  return {
    estimated: false,
    diskGuid: gpt.header.diskGuid,
    sectors: Math.max(gpt.header.myLba, gpt.header.alternateLba) + 1,
    partitions: partitions.map(({ content: _, verity: __, ...partition }) => partition),
    data,
    smallestStick: data ? smallestStick(data, ALIGNMENT) : size,
  }
}

/** A member of a JSON object that came from outside; null when there is none. */
export function member(value: Json, key: string): Json {
  if (value === null || typeof value !== 'object' || Array.isArray(value)) return null
  return Object.hasOwn(value, key) ? (value[key] ?? null) : null
}

function bytesOf(value: Json): Bytes | undefined {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : undefined
}
