/**
 * PNGs for tests, written from the specification (PNG, third edition): 8-bit RGB, each row with a filter of its own.
 */
import { crc32, deflateSync } from 'node:zlib'

/** Value of a pixel's every channel. */
export type Paint = (x: number, y: number) => number

/** @param up rows are filtered by what differs from the row above (filter 2), else not at all (filter 0) */
export function pngOf(width: number, height: number, paint: Paint, up = false): Buffer {
  const header = Buffer.alloc(13)
  header.writeUInt32BE(width, 0)
  header.writeUInt32BE(height, 4)
  header.set([8, 2, 0, 0, 0], 8)
  const rows = Array.from({ length: height }, (_, y) => filtered(width, y, paint, up))
  return Buffer.concat([
    Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]),
    chunk('IHDR', header),
    chunk('IDAT', deflateSync(Buffer.concat(rows))),
    chunk('IEND', Buffer.alloc(0)),
  ])
}

function filtered(width: number, y: number, paint: Paint, up: boolean): Buffer {
  const row = Buffer.alloc(1 + width * 3, 0)
  row[0] = up ? 2 : 0
  for (let x = 0; x < width; x++)
    row.fill((paint(x, y) - (up && y > 0 ? paint(x, y - 1) : 0)) & 0xff, 1 + x * 3, 4 + x * 3)
  return row
}

function chunk(type: string, body: Buffer): Buffer {
  const typed = Buffer.concat([Buffer.from(type, 'latin1'), body])
  const [length, sum] = [Buffer.alloc(4), Buffer.alloc(4)]
  length.writeUInt32BE(body.length)
  sum.writeUInt32BE(crc32(typed))
  return Buffer.concat([length, typed, sum])
}

export const black: Paint = () => 0

/** A block such as firmware and GRUB show. */
export const cursor: Paint = (x, y) => (y >= 13 && y < 16 && x < 9 ? 170 : 0)

/** Nine rows of something like letters. */
export const words: Paint = (x, y) => (y > 3 && y < 13 && ((x + 3 * y) * (y + 7)) % 13 < 5 ? 170 : 0)
