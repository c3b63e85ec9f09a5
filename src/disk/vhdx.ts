/**
 * VHDX, the disks of Hyper-V: headers, regions and metadata, read before any tool opens the image.
 *
 * Spec: [MS-VHDX]. Left out: the log's entries, which qemu-img replays, and the blocks.
 */
import type { KeyvisorError } from '../base/errors.js'
import { type Bytes, KiB, MiB, SECTOR } from '../base/units.js'
import { gap, guid, latin1, struct, u16, u32, u64 } from './bytes.js'
import { crc32c } from './crc32c.js'
import { damagedImage, needsOtherFile } from './image-errors.js'
import type { ImageBytes } from './image-format.js'

export interface Vhdx {
  virtualSize: Bytes
  /** The file was not closed: its log holds what is not in its place yet. */
  dirty: boolean
}

const IDENTIFIER = 'vhdxfile'

const HEADER = struct('a VHDX header', {
  signature: latin1(4), // Signature
  checksum: u32, // Checksum
  sequence: u64, // SequenceNumber
  fileWrite: gap(16), // FileWriteGuid
  dataWrite: gap(16), // DataWriteGuid
  log: guid, // LogGuid
  logVersion: u16, // LogVersion
  version: u16, // Version
  logBytes: u32, // LogLength
  logOffset: u64, // LogOffset
})
/** Section 2.2.2: "The header structure is 4 KB", of which the rest is reserved; the same for region tables of 64 KiB. */
const HEADERS_AT: readonly Bytes[] = [64 * KiB, 128 * KiB]
const HEADER_BYTES: Bytes = 4 * KiB
const REGIONS_AT: readonly Bytes[] = [192 * KiB, 256 * KiB]
const REGIONS_BYTES: Bytes = 64 * KiB
const CHECKSUM_AT = 4
const NO_LOG = '00000000-0000-0000-0000-000000000000'

const REGIONS = struct('a VHDX region table', {
  signature: latin1(4), // Signature
  checksum: u32, // Checksum
  count: u32, // EntryCount
  reserved: gap(4), // Reserved
})
const REGION = struct('a VHDX region', { id: guid, offset: u64, length: u32, flags: u32 })
const MOST_REGIONS = 2047
const METADATA_REGION = '8b7ca206-4790-4b9a-b8fe-575f050f886e'

const METADATA = struct('a VHDX metadata table', {
  signature: latin1(8), // Signature
  reserved: gap(2), // Reserved
  count: u16, // EntryCount
  reserved2: gap(20), // Reserved2
})
const ITEM = struct('a VHDX metadata item', {
  id: guid,
  offset: u32,
  length: u32,
  flags: u32,
  reserved: gap(4),
})
const MOST_ITEMS = 2047
const ITEMS = {
  parameters: 'caa16737-fa36-4d43-b3b6-33f0aa44e76b', // File Parameters
  size: '2fa54224-cd1b-4876-b211-5dbed83bf4b8', // Virtual Disk Size
  sector: '8141bf1d-a96f-4709-ba47-f233a8faab5f', // Logical Sector Size
  parent: 'a8d35f2d-b30b-454d-abf7-d3d84834ab0c', // Parent Locator
} as const
const PARAMETERS = struct('VHDX file parameters', { blockBytes: u32, flags: u32 })
const HAS_PARENT = 2
const SMALLEST: Bytes = MiB

type Wrong = (what: string) => KeyvisorError

/** Throws KeyvisorError `disk-damaged` and `image-needs-file`. */
export async function examineVhdx(file: ImageBytes, name: string): Promise<Vhdx> {
  const wrong: Wrong = (what) => damagedImage(name, 'VHDX', what)
  if (file.size < SMALLEST) throw wrong('it is shorter than its headers')
  if ((await file.read(0, IDENTIFIER.length)).toString('latin1') !== IDENTIFIER) throw wrong('its signature')
  const header = await currentHeader(file, wrong)
  if (header.version !== 1) throw wrong(`version ${header.version}`)
  const items = await readItems(file, await metadataAt(file, wrong), wrong)
  const { flags, blockBytes } = PARAMETERS.decode(await items(ITEMS.parameters, PARAMETERS.bytes))
  if ((flags & HAS_PARENT) !== 0 || items.has(ITEMS.parent))
    throw needsOtherFile(name, 'VHDX', 'a differencing disk')
  if (blockBytes < MiB || blockBytes > 256 * MiB || !Number.isInteger(Math.log2(blockBytes)))
    throw wrong(`blocks of ${blockBytes} bytes`)
  const sector = (await items(ITEMS.sector, 4)).readUInt32LE(0)
  if (sector !== SECTOR) throw wrong(`sectors of ${sector} bytes, of which QEMU knows none`)
  const virtualSize = u64.decode(await items(ITEMS.size, 8), 0)
  if (virtualSize === 0 || virtualSize % SECTOR !== 0) throw wrong(`a disk of ${virtualSize} bytes`)
  return { virtualSize, dirty: header.log !== NO_LOG }
}

/** Section 2.2.2.1: of two headers the valid one with the greater sequence number. */
async function currentHeader(file: ImageBytes, wrong: Wrong) {
  const headers = await Promise.all(
    HEADERS_AT.map(async (at) => {
      const bytes = await file.read(at, HEADER_BYTES)
      const header = HEADER.decode(bytes)
      return header.signature === 'head' && isSummed(bytes, header.checksum) ? [header] : []
    }),
  )
  const current = headers.flat().sort((a, b) => b.sequence - a.sequence)[0]
  if (!current) throw wrong('neither of its headers is whole')
  return current
}

async function metadataAt(file: ImageBytes, wrong: Wrong): Promise<Bytes> {
  for (const at of REGIONS_AT) {
    const bytes = await file.read(at, REGIONS_BYTES)
    const { signature, checksum, count } = REGIONS.decode(bytes)
    if (signature !== 'regi' || !isSummed(bytes, checksum) || count > MOST_REGIONS) continue
    for (let index = 0; index < count; index++) {
      const { id, offset, length } = REGION.decode(bytes, REGIONS.bytes + index * REGION.bytes)
      if (id === METADATA_REGION && offset + length <= file.size && length >= REGIONS_BYTES) return offset
    }
  }
  throw wrong('it has no metadata')
}

/** Answers with the bytes of an item, of which there must be so many. */
async function readItems(file: ImageBytes, at: Bytes, wrong: Wrong) {
  const table = await file.read(at, REGIONS_BYTES)
  const { signature, count } = METADATA.decode(table)
  if (signature !== 'metadata' || count > MOST_ITEMS) throw wrong('its metadata')
  const places = new Map<string, Bytes>()
  for (let index = 0; index < count; index++) {
    const { id, offset } = ITEM.decode(table, METADATA.bytes + index * ITEM.bytes)
    if (places.has(id)) throw wrong(`its metadata has ${id} twice`)
    places.set(id, offset)
  }
  const read = async (id: string, bytes: Bytes): Promise<Buffer> => {
    const offset = places.get(id)
    const found = offset === undefined ? Buffer.alloc(0) : await file.read(at + offset, bytes)
    if (found.length < bytes) throw wrong(`its metadata has no ${id}`)
    return found
  }
  return Object.assign(read, { has: (id: string) => places.has(id) })
}

/** Section 2.2.2: CRC-32C over all of it, with zeros for the checksum. */
function isSummed(bytes: Buffer, checksum: number): boolean {
  const copy = Buffer.from(bytes)
  copy.writeUInt32LE(0, CHECKSUM_AT)
  return (crc32c(copy) ^ 0xffffffff) >>> 0 === checksum
}
