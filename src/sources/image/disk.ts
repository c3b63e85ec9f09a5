/**
 * A disk image or an ISO of the user's, and how it becomes a base.
 *
 * Every outside image is hostile until checked. Its header is read by our own code before any tool opens it, and tools are
 * told the format: one that guesses would follow a backing or data file that the image names (CVE-2015-5163,
 * CVE-2024-32498). A sound qcow2 and an ISO are bases as they are, and are checked where they were written to; of a raw
 * disk, and of a qcow2 whose reference counts are old, a base is made.
 */
import { createHash } from 'node:crypto'

import { mkdir, open, stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import type { Sha256 } from '../../base/digests.js'
import { allocatedBytes } from '../../base/disk-usage.js'
import { KeyvisorError } from '../../base/errors.js'
import { fileError, onFile } from '../../base/file-errors.js'
import type { Keyed } from '../../base/keyed.js'
import type { Bind, ToolRunner } from '../../base/tool.js'
import { exitStatus, lastWords } from '../../base/tool-errors.js'
import { alignUp, type Bytes, GiB, MiB, SECTOR } from '../../base/units.js'
import { openUserFile } from '../../base/user-file.js'
import { fileReader } from '../../disk/file-reader.js'
import { examineImage, type Image, type ImageFormat } from '../../disk/image.js'
import { examineUserImage, imageFilesOf } from '../../disk/image-file.js'
import type { Qcow2Header } from '../../disk/qcow2.js'
import { encodeQcow2 } from '../../disk/qcow2-encode.js'
import { copyFileSparse } from '../../disk/sparse.js'
import type { StageDefinition, StageOutput, Workbench } from '../../store/stage.js'
import { imageChanged } from './changed.js'
import { digestOfParts } from './parts.js'

export interface ImageInputs {
  /** Path of the image on the builder: not in the key, which has its bytes. */
  path: Keyed<string>
  format: ImageFormat
  sha256: Sha256
  size: Bytes
}

/**
 * The stage that takes a guest's image into the store, once it is checked.
 *
 * @param occupied bytes that the image takes on its disk, as {@link occupiedBytes} tells
 */
export function imageStage(
  name: string,
  title: string,
  inputs: ImageInputs,
  occupied: Bytes,
): StageDefinition<ImageInputs, never> {
  const room = { scratch: occupied, result: occupied, objects: { disk: occupied } }
  return { name, title, program: 'sources/image/disk', inputs, reads: {}, room: () => room, make: makeImage }
}

async function makeImage({ scratch, tools }: Workbench, inputs: ImageInputs): Promise<StageOutput> {
  const { path, ...rest } = inputs
  return { files: { disk: await convertImage({ path: path.value, ...rest }, scratch, tools) } }
}

/** What some files take on their disk, their holes left out. */
export async function occupiedBytes(paths: readonly string[]): Promise<Bytes> {
  const found = await Promise.all(paths.map((path) => stat(path)))
  return found.reduce((sum, file) => sum + Math.min(file.size, allocatedBytes(file)), 0)
}

/** An image as the lock names it. */
interface ImageSource extends Omit<ImageInputs, 'path'> {
  path: string
}

/** An image as tools are to see it, and the user's own name for it. */
interface Seen {
  /** Of a file. */
  path: string
  /** Where in that file it is; all of the file unless told. */
  at?: Bytes
  name: string
  size: Bytes
}

/** How qemu-img is started on an outside image: within limits, and seeing nothing but what it is about. */
type Qemu = (args: string[], limits: Limits, onLine?: (line: string) => void) => Promise<unknown>

function limitedQemu(tools: ToolRunner, binds: Bind[] = []): Qemu {
  return (args, { memory, seconds, file }, onLine) =>
    tools.run({
      tool: 'prlimit',
      args: [`--as=${memory}`, ...(file ? [`--fsize=${file}`] : []), 'qemu-img', ...args],
      timeout: seconds,
      binds,
      ...(onLine ? { onLine } : {}),
    })
}

/** True where the image is its own base; else a stage makes one of it. */
export function isBase({ format, qcow2 }: Image): boolean {
  return format === 'iso' || (qcow2 !== undefined && !qcow2.dirty)
}

/**
 * Makes a base of an image that is none itself: a qcow2 in `scratch`. Throws `image-changed` when it is not the locked
 * one, `image-damaged` and `image-unchecked`, and what `imageVirtualSize` throws.
 */
export async function convertImage(source: ImageSource, scratch: string, tools: ToolRunner): Promise<string> {
  const disk = join(scratch, 'disk.qcow2')
  await (source.format === 'raw'
    ? takeRaw(source, disk)
    : takeCopy(source, disk, scratch, limitedQemu(tools)))
  return disk
}

/** The headers are looked at in the same open file: another may have come under its name. */
async function takeRaw({ path, sha256, size }: ImageSource, disk: string): Promise<void> {
  const raw = await openUserFile(path)
  const target = await open(disk, 'wx')
  try {
    await examineImage({ size, read: fileReader(raw) }, 'raw', path)
    const hash = createHash('sha256')
    let left = size
    const take = (bytes: Buffer) => {
      left -= bytes.length
      // One that grows must not fill the disk.
      if (left < 0) throw imageChanged(path)
      hash.update(bytes)
    }
    await onFile(disk, () => encodeQcow2(raw, size, target, take))
    if (hash.digest('hex') !== sha256) throw imageChanged(path)
  } finally {
    await target.close()
    await raw.close()
  }
}

/** An image that is written to the place `at` of a finished file: whether it is what was looked at before, and sound. */
export async function checkBase(image: Seen & { format: ImageFormat }, tools: ToolRunner): Promise<void> {
  const { path, at = 0, name, size, format } = image
  const file = await open(path, 'r')
  try {
    const read = fileReader(file)
    const part = {
      size,
      read: (offset: Bytes, length: Bytes) => read(at + offset, Math.min(length, size - offset)),
    }
    const { qcow2 } = await examineImage(part, format, name)
    if (qcow2) await checkImage(image, limitsOf(size, qcow2), limitedQemu(tools, [{ path }]))
  } finally {
    await file.close()
  }
}

/** Images that qemu-img converts are copied first, so that what was checked is what is used. */
async function takeCopy(source: ImageSource, disk: string, scratch: string, qemu: Qemu): Promise<void> {
  const folder = join(scratch, 'copy')
  await mkdir(folder)
  const copy = { path: join(folder, basename(source.path)), name: source.path, size: source.size }
  await copyImage(source, folder)
  const { qcow2, virtualSize, dirtyLog } = await examineUserImage(copy.path, source.format, source.path)
  const most = copy.size * MOST_EXPANSION + 64 * MiB
  const limits = { ...limitsOf(most), file: most }
  const driver = DRIVERS[source.format] ?? source.format
  // Reading a qcow2 needs no reference counts, so that a new image of what is read is a sound one.
  if (qcow2) await checkDirty(copy, limitsOf(copy.size, qcow2), qemu)
  // Replayed on the copy; QEMU writes to no other part of it.
  if (dirtyLog) await converted(copy, qemu(['check', '-q', '-r', 'all', '-f', driver, copy.path], limits))
  const convert = ['convert', ...opened(driver, copy.path), '-O', 'qcow2', disk]
  await converted(copy, qemu(convert, limits))
  await checkImage({ ...copy, path: disk }, limits, qemu)
  const made = await examineUserImage(disk, 'qcow2', source.path)
  if (made.virtualSize !== virtualSize) throw otherSize(copy, virtualSize, made.virtualSize)
}

/** What QEMU calls formats for which it has another name. */
const DRIVERS: Partial<Record<ImageFormat, string>> = { vhd: 'vpc' }

/**
 * How qemu-img is told of an image that is to be read: in what format, without a parent, and how large. QEMU would take the
 * geometry of a VHD for its size where it does not know who made it (block/vpc.c).
 */
function opened(driver: string, path: string): string[] {
  const more =
    driver === 'vpc' ? { force_size_calc: 'current_size' } : driver === 'vmdk' ? { backing: null } : {}
  const file = { driver: 'file', filename: path }
  return [`json:${JSON.stringify({ driver, ...more, file })}`]
}

async function converted(copy: Seen, work: Promise<unknown>): Promise<void> {
  await work.catch((cause) => {
    if (exitStatus(cause) === undefined || fileError(cause)?.code === 'no-space') throw cause
    throw damaged(copy, cause, lastLine(cause))
  })
}

function otherSize({ name }: Seen, expected: Bytes, found: Bytes): KeyvisorError {
  const message = `${name} is damaged: its header says a disk of ${expected} bytes, and ${found} were read`
  return new KeyvisorError('image-damaged', message, { hint: REPAIR })
}

/** Copies all files of an image. What it describes as its parts is looked at again in the copy. */
async function copyImage({ path, format, sha256 }: ImageSource, folder: string): Promise<void> {
  const parts: [string, Sha256][] = []
  for (const file of await imageFilesOf(path, format, path)) {
    parts.push([basename(file), await copyFile(file, join(folder, basename(file)))])
  }
  const digest = parts.length > 1 ? digestOfParts(parts) : parts[0]?.[1]
  if (digest !== sha256) throw imageChanged(path)
}

/** Its digest. Holes stay holes: copy_file_range(2), which node's copyFile uses, fills them. */
async function copyFile(path: string, copy: string): Promise<Sha256> {
  const target = await open(copy, 'wx')
  const hash = createHash('sha256')
  let size = 0
  const take = (bytes: Buffer) => {
    size += bytes.length
    hash.update(bytes)
  }
  try {
    await onFile(copy, async () => {
      await copyFileSparse(path, target, 0, take)
      await target.truncate(size)
    })
  } finally {
    await target.close()
  }
  return hash.digest('hex')
}

/**
 * Clusters of a dirty image may be packed; text and zeros come to a twentieth. Without reference counts nobody can tell
 * that one cluster stands in many places, and a small file would fill the builder's disk.
 */
const MOST_EXPANSION = 20

/** What a check says of reference counts that are old (qcow2-refcount.c). The others are about bytes of the disk. */
const OLD_COUNTS = /^(Leaked cluster |ERROR (cluster|OFLAG_COPIED|refcount block) )/

/** A copy that ends too early is read as zeros by qemu-img convert, without a word: a check tells. */
async function checkDirty(copy: Seen, limits: Limits, qemu: Qemu): Promise<void> {
  let found: string | undefined
  const onLine = (line: string) => {
    if (line.startsWith('ERROR') && !OLD_COUNTS.test(line)) found ??= line
  }
  await checkImage(copy, limits, qemu, onLine).catch((cause) => {
    if (cause.code !== 'image-damaged') throw cause
    if (found !== undefined) throw damaged(copy, cause, found)
  })
}

/** What a tool may use while it looks at an outside image. */
interface Limits {
  /** Of its address space. */
  memory: Bytes
  seconds: number
  /** Of a file that it writes. */
  file?: Bytes
}

const LEAST_LIMITS: Limits = { memory: 2 * GiB, seconds: 300 }

/** The pace of a slow USB disk: a check reads tables all over the file. */
const BYTES_PER_SECOND: Bytes = 8 * MiB

/** Beyond this a builder had better not go: the counts of an image with clusters of 512 bytes that has 256 GiB. */
const MOST_MEMORY: Bytes = 8 * GiB

/**
 * A check counts the references to every cluster of the file in memory, in a table that moves when it grows: twice its
 * size for a moment (qcow2-refcount.c, realloc_refcount_array).
 */
export function limitsOf(
  size: Bytes,
  { clusterBytes, refcountBits }: Pick<Qcow2Header, 'clusterBytes' | 'refcountBits'> = USUAL,
): Limits {
  const counts = alignUp(((size / clusterBytes) * refcountBits) / 8, MiB)
  const { memory, seconds } = LEAST_LIMITS
  return {
    memory: Math.min(MOST_MEMORY, memory + 2 * counts),
    seconds: seconds + Math.ceil(size / BYTES_PER_SECOND),
  }
}

/** As qemu-img makes an image that is not told otherwise. */
const USUAL = { clusterBytes: 64 * 1024, refcountBits: 16 }

/**
 * What `qemu-img check` says by its exit code, beside 0 (qemu-img(1), "check"). Leaked clusters (3) are room that nothing
 * uses, as an unclean stop leaves it: no byte of the disk is wrong.
 */
const LEAKED = 3
const DAMAGED = 2
const UNSUPPORTED = 63

/** Throws `image-damaged`, or `image-unchecked` where nobody can say, in the tool's last words. */
async function checkImage(
  image: Seen,
  limits: Limits,
  qemu: Qemu,
  onLine?: (line: string) => void,
): Promise<void> {
  await qemu(['check', '-q', ...named(image)], limits, onLine).catch((cause) => {
    const status = exitStatus(cause)
    if (status === LEAKED) return
    if (status === undefined) throw cause
    if (status === DAMAGED) throw damaged(image, cause, lastLine(cause))
    throw unchecked(image, status, cause)
  })
}

/** How qemu-img is told of a qcow2 image: never to guess what it is (qemu-img(1), "json:"). */
function named({ path, at, size }: Seen): string[] {
  if (at === undefined) return ['-f', 'qcow2', path]
  // The driver wants whole sectors; behind the end are zeros.
  const part = { offset: at, size: alignUp(size, SECTOR) }
  const file = { driver: 'raw', ...part, file: { driver: 'file', filename: path } }
  return [`json:${JSON.stringify({ driver: 'qcow2', file })}`]
}

const REPAIR = 'repair a copy of it with qemu-img check -r all, and look at what is left'

function damaged({ name }: Seen, cause: Error, why: string): KeyvisorError {
  return new KeyvisorError('image-damaged', `${name} is a damaged image: ${why}`, { hint: REPAIR, cause })
}

function unchecked({ name }: Seen, status: number, cause: Error): KeyvisorError {
  const isUnsupported = status === UNSUPPORTED
  const why = isUnsupported ? 'qemu-img cannot check its kind' : 'qemu-img did not come to its end'
  const hint = isUnsupported
    ? 'make a qcow2 image of it: qemu-img convert -O qcow2 IMAGE DISK.qcow2'
    : 'see what its words are about: the image, or memory and disk of this machine'
  const message = `${name} cannot be checked, ${why}: ${lastLine(cause)}`
  return new KeyvisorError('image-unchecked', message, { hint, cause })
}

/** The tool's last line that says something of the image. */
function lastLine(cause: Error): string {
  return (
    lastWords(cause)
      .filter((line) => line.trim() !== '')
      .at(-1) ?? 'it said nothing'
  )
}
