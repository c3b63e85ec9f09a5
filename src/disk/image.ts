/**
 * The gate: what an image from outside must be before any tool opens it.
 *
 * The same for `validate`, which looks at the user's file, and for the build, which looks at its own copy. Headers
 * alone are read, so that it takes no longer for a large image. Left out: the tables behind them, which qemu-img
 * checks.
 */
import { KeyvisorError } from '../base/errors.js'
import { type Bytes, SECTOR } from '../base/units.js'
import { type ImageBytes, identifyImage } from './image-format.js'
import {
  decodeQcow2,
  QCOW2_HEAD_BYTES,
  type Qcow2Header,
  refuseCutQcow2,
  refuseUnsafeQcow2,
} from './qcow2.js'

export interface Image {
  /** Of the disk that a guest would see. */
  virtualSize: Bytes
  fileSize: Bytes
  /** Undefined for a raw disk. */
  qcow2?: Qcow2Header
}

/**
 * Reads an image's headers. `name` is how the user knows it. Throws KeyvisorError `wrong-format`, `qcow2-damaged`, and
 * what {@link refuseUnsafeQcow2} throws.
 */
export async function examineImage(file: ImageBytes, format: 'qcow2' | 'raw', name: string): Promise<Image> {
  if (file.size === 0) throw wrongFormat(`${name} is empty`, 'check that it was copied or downloaded')
  const found = await identifyImage(file)
  if (found && found.format !== format)
    throw wrongFormat(`${name} is not a ${format} image: it is ${found.name}`, found.hint)
  if (format === 'raw') return { virtualSize: rawSize(file.size, name), fileSize: file.size }
  if (found) return examineQcow2(await file.read(0, QCOW2_HEAD_BYTES), file.size, name)
  const message = `${name} is not a qcow2 image: it does not begin as one does`
  throw wrongFormat(message, 'write format: raw, if it is that')
}

function examineQcow2(head: Buffer, size: Bytes, name: string): Image {
  const header = decodeQcow2(head, name)
  refuseUnsafeQcow2(header, name)
  refuseCutQcow2(header, size, name)
  return { virtualSize: header.size, fileSize: size, qcow2: header }
}

function rawSize(size: Bytes, name: string): Bytes {
  if (size % SECTOR === 0) return size
  const message = `${name} has ${size} bytes: a raw disk has a whole number of sectors of ${SECTOR} bytes`
  throw wrongFormat(message, 'check that the file is a whole disk image')
}

function wrongFormat(message: string, hint: string): KeyvisorError {
  return new KeyvisorError('wrong-format', message, { hint })
}
