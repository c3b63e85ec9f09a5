/**
 * A disk image or an ISO of the user's: checked, then taken as a base.
 *
 * Every outside image is hostile until checked. It is copied first, so that what was checked is what is used. Its
 * header is read by our own code before any tool opens it, and tools are told the format: one that guesses would
 * follow a backing or data file that the image names (CVE-2015-5163, CVE-2024-32498).
 */

import { open, rename, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { type Sha256, sha256File } from '../../base/digests.js'
import { allocatedBytes } from '../../base/disk-usage.js'
import { KeyvisorError } from '../../base/errors.js'
import { fileError, onFile } from '../../base/file-errors.js'
import type { Keyed } from '../../base/keyed.js'
import type { ToolRunner } from '../../base/tool.js'
import { exitStatus, lastWords } from '../../base/tool-errors.js'
import { alignUp, type Bytes, GiB, MiB } from '../../base/units.js'
import type { ImageFormat } from '../../disk/image.js'
import { examineUserImage } from '../../disk/image-file.js'
import type { Qcow2Header } from '../../disk/qcow2.js'
import { copySparse } from '../../disk/sparse.js'
import type { StageDefinition, StageOutput, Workbench } from '../../store/stage.js'

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
  return { files: { disk: await takeImage({ path: path.value, ...rest }, scratch, tools) } }
}

/** What a file takes on its disk, its holes left out. */
export async function occupiedBytes(path: string): Promise<Bytes> {
  const found = await stat(path)
  return Math.min(found.size, allocatedBytes(found))
}

/** An image as the lock names it. */
interface ImageSource extends Omit<ImageInputs, 'path'> {
  path: string
}

/** The image as tools are to see it: our copy, and the user's own name for it. */
interface Copy {
  path: string
  name: string
  size: Bytes
}

/** How qemu-img is started on an outside image: within limits, and seeing nothing but scratch. */
type Qemu = (args: string[], limits: Limits, onLine?: (line: string) => void) => Promise<unknown>

/** Holes stay holes: copy_file_range(2), which node's copyFile uses, fills them. */
async function copyImage({ path, size }: ImageSource, copy: string): Promise<void> {
  const target = await open(copy, 'wx')
  try {
    await onFile(copy, async () => {
      await copySparse(path, target, 0)
      await target.truncate(size)
    })
  } finally {
    await target.close()
  }
}

/**
 * Takes the image into `scratch` as a qcow2 that stands alone, an ISO as it is. Throws `image-changed` when it is not the locked one,
 * `image-damaged` and `image-unchecked`, and what `imageVirtualSize` throws.
 */
export async function takeImage(source: ImageSource, scratch: string, tools: ToolRunner): Promise<string> {
  const copy = { path: join(scratch, `copy.${source.format}`), name: source.path, size: source.size }
  await copyImage(source, copy.path)
  if ((await sha256File(copy.path)).sha256 !== source.sha256) {
    throw new KeyvisorError('image-changed', `${source.path} is not the image that the lock names`, {
      hint: 'take the change with --update',
    })
  }
  const { qcow2 } = await examineUserImage(copy.path, source.format, source.path)
  if (source.format === 'iso') return copy.path
  const qemu: Qemu = (args, { memory, seconds, file }, onLine) =>
    tools.run({
      tool: 'prlimit',
      args: [`--as=${memory}`, ...(file ? [`--fsize=${file}`] : []), 'qemu-img', ...args],
      timeout: seconds,
      ...(onLine ? { onLine } : {}),
    })
  const disk = join(scratch, 'disk.qcow2')
  await (qcow2 ? takeQcow2(qcow2, copy, disk, qemu) : takeRaw(copy, disk, qemu))
  return disk
}

async function takeRaw(copy: Copy, disk: string, qemu: Qemu): Promise<void> {
  await qemu(['convert', '-f', 'raw', '-O', 'qcow2', copy.path, disk], limitsOf(copy.size))
}

async function takeQcow2(header: Qcow2Header, copy: Copy, disk: string, qemu: Qemu): Promise<void> {
  if (header.dirty) return takeDirty(header, copy, disk, qemu)
  await checkImage('qcow2', copy, limitsOf(copy.size, header), qemu)
  await rename(copy.path, disk)
}

/** Reading needs no reference counts, so that a new image of what is read is a sound one. */
async function takeDirty(header: Qcow2Header, copy: Copy, disk: string, qemu: Qemu): Promise<void> {
  await checkDirty(copy, limitsOf(copy.size, header), qemu)
  const most = copy.size * MOST_EXPANSION + 64 * MiB
  const limits = { ...limitsOf(most), file: most }
  await qemu(['convert', '-f', 'qcow2', '-O', 'qcow2', copy.path, disk], limits).catch((cause) => {
    if (exitStatus(cause) === undefined || fileError(cause)?.code === 'no-space') throw cause
    throw damaged(copy, cause, lastLine(cause))
  })
  await checkImage('qcow2', { ...copy, path: disk }, limits, qemu)
}

/**
 * Clusters of a dirty image may be packed; text and zeros come to a twentieth. Without reference counts nobody can tell
 * that one cluster stands in many places, and a small file would fill the builder's disk.
 */
const MOST_EXPANSION = 20

/** What a check says of reference counts that are old (qcow2-refcount.c). The others are about bytes of the disk. */
const OLD_COUNTS = /^(Leaked cluster |ERROR (cluster|OFLAG_COPIED|refcount block) )/

/** A copy that ends too early is read as zeros by qemu-img convert, without a word: a check tells. */
async function checkDirty(copy: Copy, limits: Limits, qemu: Qemu): Promise<void> {
  let found: string | undefined
  const onLine = (line: string) => {
    if (line.startsWith('ERROR') && !OLD_COUNTS.test(line)) found ??= line
  }
  await checkImage('qcow2', copy, limits, qemu, onLine).catch((cause) => {
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
export async function checkImage(
  format: string,
  copy: Copy,
  limits: Limits,
  qemu: Qemu,
  onLine?: (line: string) => void,
): Promise<void> {
  await qemu(['check', '-q', '-f', format, copy.path], limits, onLine).catch((cause) => {
    const status = exitStatus(cause)
    if (status === LEAKED) return
    if (status === undefined) throw cause
    if (status === DAMAGED) throw damaged(copy, cause, lastLine(cause))
    throw unchecked(copy, status, cause)
  })
}

function damaged({ name }: Copy, cause: Error, why: string): KeyvisorError {
  const hint = 'repair a copy of it with qemu-img check -r all, and look at what is left'
  const message = `${name} is a damaged qcow2 image: ${why}`
  return new KeyvisorError('image-damaged', message, { hint, cause })
}

function unchecked({ name }: Copy, status: number, cause: Error): KeyvisorError {
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
