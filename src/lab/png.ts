/**
 * What is asked of a PNG before it is kept (PNG, third edition, sections 5.2, 11.2 and 7.3).
 *
 * Left out: colours and interlacing. Neither QEMU's pictures nor the questions need them.
 */
import { inflateSync } from 'node:zlib'

const SIGNATURE = Buffer.from('\x89PNG\r\n\x1a\n', 'latin1')

/** Pixels of a side; no screen has more. */
const LARGEST = 8192

/** Whether bytes begin as a PNG of a screen's size does. Whether the rest holds, a viewer finds out. */
export function isPng(bytes: Buffer): boolean {
  if (bytes.length < 33 || !bytes.subarray(0, 8).equals(SIGNATURE)) return false
  const { width, height } = size(bytes)
  return bytes.toString('latin1', 12, 16) === 'IHDR' && inRange(width) && inRange(height)
}

function inRange(side: number): boolean {
  return side > 0 && side <= LARGEST
}

function size(png: Buffer): { width: number; height: number } {
  return { width: png.readUInt32BE(16), height: png.readUInt32BE(20) }
}

/** Rows that differ, as a cursor on a screen of one colour makes them: a line of text makes twice as many. */
const CURSOR_ROWS = 6

/**
 * Whether a picture of QEMU's shows one colour only, a cursor apart. Rows are compared as they are filtered: of one
 * colour, all but the first are the same.
 */
export function isBlank(png: Buffer): boolean {
  const rows = inflateSync(Buffer.concat(imageParts(png)))
  const { height } = size(png)
  const stride = rows.length / height
  const different = new Set<string>()
  for (let row = 0; row < height && different.size <= CURSOR_ROWS; row++)
    different.add(rows.toString('latin1', row * stride, (row + 1) * stride))
  return different.size <= CURSOR_ROWS
}

/** The bodies of the IDAT chunks. A chunk is its length, its type, its body, and four bytes of CRC. */
function imageParts(png: Buffer): Buffer[] {
  const parts: Buffer[] = []
  let at = SIGNATURE.length
  while (at + 12 <= png.length) {
    const length = png.readUInt32BE(at)
    if (png.toString('latin1', at + 4, at + 8) === 'IDAT') parts.push(png.subarray(at + 8, at + 8 + length))
    at += 12 + length
  }
  return parts
}
