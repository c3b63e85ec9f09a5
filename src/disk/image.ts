/**
 * The gate: what an image from outside must be before any tool opens it.
 *
 * The same for `validate`, which looks at the user's file, and for the build, which looks at its own copy. Headers
 * alone are read, so that it takes no longer for a large image. Left out: the tables behind them, which qemu-img
 * checks.
 */
import { KeyvisorError } from '../base/errors.js'
import { type Bytes, SECTOR } from '../base/units.js'
import { damagedImage } from './image-errors.js'
import {
  discBytes,
  type ImageFormat as FoundFormat,
  type ImageBytes,
  type ImageFormatName as ImageFormat,
  identifyImage,
} from './image-format.js'
import {
  decodeQcow2,
  MOST_DISK_BYTES,
  QCOW2_HEAD_BYTES,
  type Qcow2Header,
  refuseCutQcow2,
  refuseUnsafeQcow2,
} from './qcow2.js'
import { examineVdi } from './vdi.js'
import { examineVhd } from './vhd.js'
import { examineVhdx } from './vhdx.js'
import { examineVmdk } from './vmdk.js'

export type { ImageFormatName as ImageFormat } from './image-format.js'

export interface Image {
  format: ImageFormat
  /** Of the disk or CD that a guest would see. */
  virtualSize: Bytes
  fileSize: Bytes
  /** Of a qcow2. */
  qcow2?: Qcow2Header
  /** A VHDX that was not closed: its log is to be replayed. */
  dirtyLog?: boolean
}

/**
 * Reads an image's headers. `name` is how the user knows it. Throws KeyvisorError `wrong-format`, `qcow2-damaged`, and
 * what {@link refuseUnsafeQcow2} throws.
 */
export async function examineImage(file: ImageBytes, format: ImageFormat, name: string): Promise<Image> {
  if (file.size === 0) throw wrongFormat(`${name} is empty`, 'check that it was copied or downloaded')
  const found = await identifyImage(file)
  if (format === 'iso') return examineIso(file, found, name)
  if (found && found.format !== format)
    throw wrongFormat(`${name} is not a ${format} image: it is ${found.name}`, found.hint)
  if (format === 'raw') return { format, virtualSize: rawSize(file.size, name), fileSize: file.size }
  if (found) return examineFound(file, format, name)
  const message = `${name} is not a ${format} image: it does not begin as one does`
  throw wrongFormat(message, 'write format: raw, if it is that')
}

async function examineFound(file: ImageBytes, format: ImageFormat, name: string): Promise<Image> {
  const base = { format, fileSize: file.size }
  try {
    switch (format) {
      case 'vmdk':
        return { ...base, virtualSize: limited(await examineVmdk(file, name), format, name) }
      case 'vhd':
        return { ...base, virtualSize: limited(await examineVhd(file, name), format, name) }
      case 'vdi':
        return { ...base, virtualSize: limited(await examineVdi(file, name), format, name) }
      case 'vhdx': {
        const { virtualSize, dirty } = await examineVhdx(file, name)
        return { ...base, virtualSize: limited(virtualSize, format, name), dirtyLog: dirty }
      }
      default:
        return examineQcow2(await file.read(0, QCOW2_HEAD_BYTES), file.size, name)
    }
  } catch (error) {
    if (!(error instanceof KeyvisorError) || error.code !== 'truncated') throw error
    throw damagedImage(name, format.toUpperCase(), error.message)
  }
}

/** A disk of a whole number of sectors, and no larger than one in a qcow2 may be. */
export function limited(size: Bytes, format: string, name: string): Bytes {
  if (size > 0 && size % SECTOR === 0 && size <= MOST_DISK_BYTES) return size
  throw damagedImage(name, format.toUpperCase(), `a disk of ${size} bytes`)
}

function examineQcow2(head: Buffer, size: Bytes, name: string): Image {
  const header = decodeQcow2(head, name)
  refuseUnsafeQcow2(header, name)
  refuseCutQcow2(header, size, name)
  return { format: 'qcow2', virtualSize: header.size, fileSize: size, qcow2: header }
}

/** A CD that is also a disk of the same bytes, as installers are, is taken by what its sector 16 says. */
async function examineIso(file: ImageBytes, found: FoundFormat | undefined, name: string): Promise<Image> {
  const { size } = file
  if (found && found.format !== 'iso') {
    const hint = found.format === 'qcow2' ? 'write image: in place of iso:' : found.hint
    throw wrongFormat(`${name} is not an ISO: it is ${found.name}`, hint)
  }
  const bytes = await discBytes(file)
  if (bytes === undefined) {
    const message = `${name} is not an ISO: it has no volume of ISO 9660 or UDF`
    throw wrongFormat(message, 'write image: in place of iso:, if it is a disk')
  }
  if (bytes > size + MOST_PADDING) {
    const message = `${name} is cut off: its volume has ${bytes} bytes, and the file has ${size}`
    throw wrongFormat(message, 'take another copy: it was not downloaded or copied to its end')
  }
  return { format: 'iso', virtualSize: size, fileSize: size }
}

/** Sectors at the end of a track that hold nothing, and that copies of discs may lack (ECMA-130, section 20). */
const MOST_PADDING: Bytes = 150 * 2048

function rawSize(size: Bytes, name: string): Bytes {
  if (size % SECTOR === 0) return size
  const message = `${name} has ${size} bytes: a raw disk has a whole number of sectors of ${SECTOR} bytes`
  throw wrongFormat(message, 'check that the file is a whole disk image')
}

function wrongFormat(message: string, hint: string): KeyvisorError {
  return new KeyvisorError('wrong-format', message, { hint })
}
