/**
 * A guest from a disk image of the user's: checked, then taken as a base image.
 *
 * Every outside image is hostile until checked. It is copied first, so that what was checked is what is used. Its
 * header is read by our own code before any tool opens it, and tools are told the format: one that guesses would
 * follow a backing or data file that the image names (CVE-2015-5163, CVE-2024-32498).
 */
import { open, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { sha256File } from '../base/digests.js'
import { KeyvisorError } from '../base/errors.js'
import type { ToolRunner } from '../base/tool.js'
import { type Bytes, GiB, SECTOR } from '../base/units.js'
import { openUserFile } from '../base/user-file.js'
import { decodeQcow2, looksLikeQcow2, QCOW2_HEAD_BYTES, refuseUnsafeQcow2 } from '../disk/qcow2.js'
import { copySparse } from '../disk/sparse.js'
import type { GuestSource } from '../plan/types.js'

type ImageSource = Extract<GuestSource, { kind: 'image' }>

/** What a tool may use while it looks at an outside image: address space in bytes, and seconds. */
const LIMITS = { memory: 2 * GiB, seconds: 300 }

/**
 * Virtual size of the disk in an image, from its header alone. Throws `not-qcow2`, `not-raw`, and what
 * {@link refuseUnsafeQcow2} throws; `file-missing` when it cannot be read.
 */
export async function imageVirtualSize(path: string, format: 'qcow2' | 'raw'): Promise<Bytes> {
  const file = await openUserFile(path).catch((cause) => {
    const hint = 'correct the path, or make the file readable'
    throw new KeyvisorError('file-missing', `the image ${path} cannot be read: ${cause.message}`, {
      hint,
      cause,
    })
  })
  try {
    const head = Buffer.alloc(QCOW2_HEAD_BYTES)
    const { bytesRead } = await file.read(head, 0, head.length, 0)
    if (format === 'raw') return rawSize(path, head, (await file.stat()).size)
    const header = decodeQcow2(head.subarray(0, bytesRead))
    refuseUnsafeQcow2(header, path)
    return header.size
  } finally {
    await file.close()
  }
}

function rawSize(path: string, head: Buffer, size: Bytes): Bytes {
  if (looksLikeQcow2(head)) {
    throw new KeyvisorError('not-raw', `${path} is a qcow2 image, not a raw one`, {
      hint: 'write format: qcow2',
    })
  }
  if (size === 0 || size % SECTOR !== 0) {
    const message = `${path} has ${size} bytes: a raw disk has a whole number of sectors of ${SECTOR} bytes`
    throw new KeyvisorError('not-raw', message, { hint: 'check that the file is a whole disk image' })
  }
  return size
}

/** Holes stay holes: copy_file_range(2), which node's copyFile uses, fills them. */
async function copyImage({ path, size }: ImageSource, copy: string): Promise<void> {
  const target = await open(copy, 'wx')
  try {
    await copySparse(path, target, 0)
    await target.truncate(size)
  } finally {
    await target.close()
  }
}

/** Takes the image into `scratch` as a qcow2 that stands alone. Throws `image-changed` when it is not the locked one. */
export async function takeImage(
  source: ImageSource,
  scratch: string,
  tools: ToolRunner,
  signal?: AbortSignal,
): Promise<string> {
  const copy = join(scratch, `copy.${source.format}`)
  await copyImage(source, copy)
  if ((await sha256File(copy)).sha256 !== source.sha256) {
    throw new KeyvisorError('image-changed', `${source.path} is not the image that the lock names`, {
      hint: 'take the change with --update',
    })
  }
  await imageVirtualSize(copy, source.format)
  const disk = join(scratch, 'disk.qcow2')
  const limited = (args: string[]) =>
    tools.run({
      tool: 'prlimit',
      args: [`--as=${LIMITS.memory}`, 'qemu-img', ...args],
      binds: [{ path: scratch, write: true }],
      timeout: LIMITS.seconds,
      ...(signal ? { signal } : {}),
    })
  if (source.format === 'raw') {
    await tools.run({
      tool: 'qemu-img',
      args: ['convert', '-f', 'raw', '-O', 'qcow2', copy, disk],
      binds: [{ path: scratch, write: true }],
      ...(signal ? { signal } : {}),
    })
    return disk
  }
  await limited(['check', '-q', '-f', 'qcow2', copy]).catch((cause: KeyvisorError) => {
    if (cause.code !== 'tool-failed') throw cause
    const hint = 'repair a copy of it with qemu-img check -r all, and look at what is left'
    throw new KeyvisorError('image-damaged', `${source.path} is a damaged qcow2 image`, { hint, cause })
  })
  await rename(copy, disk)
  return disk
}
