/**
 * VHD, the disks of Virtual PC and of the first Hyper-V: footer and header, read before any tool opens the image.
 *
 * Spec: Microsoft, "Virtual Hard Disk Image Format Specification", version 1.0. Left out: the blocks, and old Virtual PCs'
 * footers of 511 bytes.
 */
import type { KeyvisorError } from '../base/errors.js'
import type { Bytes } from '../base/units.js'
import { gap, latin1, struct, u32be, u64be } from './bytes.js'
import { damagedImage, needsOtherFile } from './image-errors.js'
import type { ImageBytes } from './image-format.js'

const FOOTER = struct('a VHD footer', {
  cookie: latin1(8), // Cookie
  features: gap(4), // Features
  version: u32be, // File Format Version
  dataOffset: u64be, // Data Offset
  creation: gap(24), // Time Stamp ... Original Size
  size: u64be, // Current Size
  geometry: gap(4), // Disk Geometry
  type: u32be, // Disk Type
  checksum: u32be, // Checksum
  rest: gap(444), // Unique Id ... Reserved
})

const HEADER = struct('a VHD header', {
  cookie: latin1(8), // Cookie
  dataOffset: gap(8), // Data Offset
  tableOffset: u64be, // Table Offset
  version: u32be, // Header Version
  entries: u32be, // Max Table Entries
  blockBytes: u32be, // Block Size
  checksum: u32be, // Checksum
  rest: gap(984), // Parent Unique ID ... Reserved
})

const COOKIE = 'conectix'
const HEADER_COOKIE = 'cxsparse'
const VERSION = 0x00010000
const TYPE = { fixed: 2, dynamic: 3, differencing: 4 } as const
/** Where the checksum stands, in the footer and in the header. */
const CHECKSUM_AT = { footer: 64, header: 36 } as const

/** Virtual size. Throws KeyvisorError `disk-damaged` and `image-needs-file`. */
export async function examineVhd(file: ImageBytes, name: string): Promise<Bytes> {
  const wrong = (what: string) => damagedImage(name, 'VHD', what)
  if (file.size < FOOTER.bytes) throw wrong('it is shorter than its footer')
  const bytes = await file.read(file.size - FOOTER.bytes, FOOTER.bytes)
  const footer = FOOTER.decode(bytes)
  if (footer.cookie !== COOKIE) throw wrong('it does not end with its footer')
  if (!isSummed(bytes, CHECKSUM_AT.footer, footer.checksum)) throw wrong('the checksum of its footer')
  if (footer.version !== VERSION) throw wrong(`version ${footer.version.toString(16)}`)
  if (footer.type === TYPE.differencing) throw needsOtherFile(name, 'VHD', 'a differencing disk')
  if (footer.type === TYPE.fixed) {
    if (footer.size > file.size - FOOTER.bytes) throw wrong('it is cut off')
  } else if (footer.type === TYPE.dynamic) await checkHeader(file, footer, wrong)
  else throw wrong(`disk type ${footer.type}`)
  return footer.size
}

async function checkHeader(
  file: ImageBytes,
  footer: { dataOffset: Bytes; size: Bytes },
  wrong: (what: string) => KeyvisorError,
): Promise<void> {
  if (footer.dataOffset + HEADER.bytes > file.size) throw wrong('its header is behind its end')
  const bytes = await file.read(footer.dataOffset, HEADER.bytes)
  const header = HEADER.decode(bytes)
  if (header.cookie !== HEADER_COOKIE || !isSummed(bytes, CHECKSUM_AT.header, header.checksum))
    throw wrong('its header')
  const { tableOffset, entries, blockBytes } = header
  if (blockBytes < 512 || !Number.isInteger(Math.log2(blockBytes)))
    throw wrong(`blocks of ${blockBytes} bytes`)
  if (entries * blockBytes < footer.size) throw wrong('its table is too small for its disk')
  if (tableOffset + entries * 4 > file.size) throw wrong('its table is behind its end')
}

/** "A one's complement of the sum of all the bytes in the footer without the checksum field." */
function isSummed(bytes: Buffer, at: number, checksum: number): boolean {
  let sum = 0
  for (const [index, byte] of bytes.entries()) if (index < at || index >= at + 4) sum += byte
  return ~sum >>> 0 === checksum
}
