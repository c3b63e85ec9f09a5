/**
 * The GUID partition table: UEFI 2.10, section 5.3. Two copies, each a header and an array of entries: the primary
 * from LBA 1 on, the backup in the last sectors.
 *
 * Written: 128 entries of 128 bytes, as every other tool does. Read: any array the specification allows, up to
 * {@link MOST_ENTRIES}. Left out: sectors other than 512 bytes, repair.
 */
import { KeyvisorError } from '../base/errors.js'
import { type Bytes, type Lba, SECTOR } from '../base/units.js'
import { asBuffer, flags64, gap, guid, latin1, struct, u32, u64, utf16 } from './bytes.js'
import { crc32 } from './crc32.js'

const HEADER = struct('a GPT header', {
  signature: latin1(8), // Signature
  revision: u32, // Revision
  headerSize: u32, // HeaderSize
  headerCrc: u32, // HeaderCRC32
  reserved: gap(4), // Reserved
  myLba: u64, // MyLBA
  alternateLba: u64, // AlternateLBA
  firstUsable: u64, // FirstUsableLBA
  lastUsable: u64, // LastUsableLBA
  diskGuid: guid, // DiskGUID
  entriesLba: u64, // PartitionEntryLBA
  entryCount: u32, // NumberOfPartitionEntries
  entryBytes: u32, // SizeOfPartitionEntry
  entriesCrc: u32, // PartitionEntryArrayCRC32
})

const ENTRY = struct('a GPT entry', {
  type: guid, // PartitionTypeGUID
  guid: guid, // UniquePartitionGUID
  first: u64, // StartingLBA
  last: u64, // EndingLBA
  attributes: flags64, // Attributes
  name: utf16(36), // PartitionName
})

const SIGNATURE = 'EFI PART'
const REVISION = 0x00010000
const UNUSED = '00000000-0000-0000-0000-000000000000'
const HEADER_CRC_AT = 16
const ENTRIES = 128
const ENTRY_SECTORS = (ENTRIES * ENTRY.bytes) / SECTOR

/** Sectors behind the last usable one: entries, and the header in the last. */
export const BACKUP_SECTORS = ENTRY_SECTORS + 1

/** First LBA that a partition can have: behind MBR, header and entries. */
export const FIRST_USABLE: Lba = 1 + BACKUP_SECTORS

/** More entries than this are read as damage: sgdisk and Linux make 128, and a hostile count would eat memory. */
const MOST_ENTRIES = 1024
const MOST_ENTRY_BYTES = 4096

export interface GptPartition {
  /** From 1: its place in the array. */
  number: number
  /** Partition type GUID, lower case. */
  type: string
  /** Unique partition GUID, lower case. */
  guid: string
  first: Lba
  /** Inclusive. */
  last: Lba
  attributes: bigint
  /** At most 36 UTF-16 code units. */
  name: string
}

export interface GptHeader {
  myLba: Lba
  alternateLba: Lba
  firstUsable: Lba
  lastUsable: Lba
  diskGuid: string
  entriesLba: Lba
  entryCount: number
  entryBytes: Bytes
  entriesCrc: number
}

/** One copy of the table. */
export interface Gpt {
  header: GptHeader
  partitions: GptPartition[]
}

/** Reads `length` bytes at `offset`; fewer at the end. */
export type ReadAt = (offset: Bytes, length: Bytes) => Promise<Buffer>

/**
 * Both copies for a disk of `sectors` sectors: `primary` belongs at LBA 1, `backup` at LBA `sectors - 33`. What
 * does not fit is our own bug: the layout was checked before.
 */
export function encodeGpt(
  diskGuid: string,
  sectors: number,
  partitions: readonly GptPartition[],
): { primary: Buffer; backup: Buffer } {
  const entries = encodeEntries(partitions)
  const firstUsable = FIRST_USABLE
  const lastUsable = sectors - BACKUP_SECTORS - 1
  const wrong = misplaced(partitions, firstUsable, lastUsable)
  if (wrong) throw new Error(`BUG: ${wrong}`)
  const common = { firstUsable, lastUsable, diskGuid, entriesCrc: crc32(entries) }
  const primary = encodeHeader({ ...common, myLba: 1, alternateLba: sectors - 1, entriesLba: 2 })
  const backup = encodeHeader({
    ...common,
    myLba: sectors - 1,
    alternateLba: 1,
    entriesLba: sectors - BACKUP_SECTORS,
  })
  return { primary: Buffer.concat([primary, entries]), backup: Buffer.concat([entries, backup]) }
}

function encodeHeader(header: Omit<GptHeader, 'entryCount' | 'entryBytes'>): Buffer {
  const bytes = HEADER.encode({
    ...header,
    signature: SIGNATURE,
    revision: REVISION,
    headerSize: HEADER.bytes,
    headerCrc: 0,
    entryCount: ENTRIES,
    entryBytes: ENTRY.bytes,
  })
  bytes.writeUInt32LE(crc32(bytes), HEADER_CRC_AT)
  return Buffer.concat([bytes, Buffer.alloc(SECTOR - bytes.length)])
}

function encodeEntries(partitions: readonly GptPartition[]): Buffer {
  const array = Buffer.alloc(ENTRIES * ENTRY.bytes)
  for (const partition of partitions) {
    if (partition.number < 1 || partition.number > ENTRIES)
      throw new Error(`BUG: partition ${partition.number}`)
    array.set(ENTRY.encode(partition), (partition.number - 1) * ENTRY.bytes)
  }
  return array
}

/**
 * Reads one copy of the table, whose header stands at `lba` of a disk of `sectors` sectors. Throws KeyvisorError
 * `no-gpt` where there is no header, `gpt-damaged` where one is that cannot be believed.
 */
export async function readGpt(read: ReadAt, lba: Lba, sectors: number): Promise<Gpt> {
  const header = decodeGptHeader(await read(lba * SECTOR, SECTOR), lba, sectors)
  const entries = await read(header.entriesLba * SECTOR, header.entryCount * header.entryBytes)
  return { header, partitions: decodeGptEntries(entries, header) }
}

/** Decodes and checks the header sector at `lba`. Throws as {@link readGpt}. */
export function decodeGptHeader(sector: Uint8Array, lba: Lba, sectors: number): GptHeader {
  if (sector.length < SECTOR || latin1(8).decode(asBuffer(sector), 0) !== SIGNATURE) {
    throw new KeyvisorError('no-gpt', `LBA ${lba} has no GPT header`)
  }
  const { signature: _, revision, headerSize, headerCrc, ...header } = HEADER.decode(sector)
  if (headerSize < HEADER.bytes || headerSize > SECTOR)
    throw damaged(lba, `its header has ${headerSize} bytes`)
  const blank = Buffer.from(sector.subarray(0, headerSize)).fill(0, HEADER_CRC_AT, HEADER_CRC_AT + 4)
  if (crc32(blank) !== headerCrc) throw damaged(lba, 'the checksum of its header is wrong')
  if (revision >>> 16 !== REVISION >>> 16) throw damaged(lba, `its revision is 0x${revision.toString(16)}`)
  const wrong = unbelievable(header, lba, sectors)
  if (wrong) throw damaged(lba, wrong)
  return header
}

/** What is wrong with a header whose checksum is right; undefined when nothing is. */
function unbelievable(header: GptHeader, lba: Lba, sectors: number): string | undefined {
  const { myLba, alternateLba, firstUsable, lastUsable, entriesLba, entryCount, entryBytes } = header
  const multiple = entryBytes / ENTRY.bytes
  if (myLba !== lba) return `it says that it stands at LBA ${myLba}`
  if (alternateLba === lba || alternateLba < 1 || alternateLba >= sectors)
    return `it has its other copy at LBA ${alternateLba} of a disk of ${sectors} sectors`
  // SizeOfPartitionEntry is 128 times a power of two.
  if (!Number.isInteger(Math.log2(multiple)) || multiple < 1 || entryBytes > MOST_ENTRY_BYTES)
    return `its entries have ${entryBytes} bytes`
  if (entryCount < 1 || entryCount > MOST_ENTRIES) return `it has ${entryCount} entries`
  const entriesEnd = entriesLba + Math.ceil((entryCount * entryBytes) / SECTOR)
  if (entriesLba < 2 || entriesEnd > sectors) return `its entries stand at LBA ${entriesLba}`
  if (firstUsable < 2 || lastUsable >= sectors || firstUsable > lastUsable + 1)
    return `its usable sectors are ${firstUsable} to ${lastUsable} of ${sectors}`
  if (entriesLba <= lastUsable && entriesEnd > firstUsable) return 'its entries stand in the usable sectors'
  return undefined
}

/** Decodes and checks the entries that a header describes. Throws KeyvisorError `gpt-damaged`. */
function decodeGptEntries(bytes: Uint8Array, header: GptHeader): GptPartition[] {
  const { entryCount, entryBytes, myLba } = header
  if (bytes.length < entryCount * entryBytes) throw damaged(myLba, 'its entries are cut off')
  const array = bytes.subarray(0, entryCount * entryBytes)
  if (crc32(array) !== header.entriesCrc) throw damaged(myLba, 'the checksum of its entries is wrong')
  const partitions = Array.from({ length: entryCount }, (_, index) => ({
    number: index + 1,
    ...ENTRY.decode(array, index * entryBytes),
  })).filter((partition) => partition.type !== UNUSED)
  const wrong = misplaced(partitions, header.firstUsable, header.lastUsable)
  if (wrong) throw damaged(myLba, wrong)
  return partitions
}

/** What is wrong with the partitions' extents; undefined when nothing is. */
function misplaced(
  partitions: readonly GptPartition[],
  firstUsable: Lba,
  lastUsable: Lba,
): string | undefined {
  const sorted = [...partitions].sort((a, b) => a.first - b.first)
  for (const [index, { number, first, last }] of sorted.entries()) {
    if (first > last) return `partition ${number} ends at LBA ${last}, before its start ${first}`
    if (first < firstUsable || last > lastUsable)
      return `partition ${number} (LBA ${first} to ${last}) leaves the usable sectors ${firstUsable} to ${lastUsable}`
    const next = sorted[index + 1]
    if (next && next.first <= last) return `partitions ${number} and ${next.number} overlap`
  }
  return undefined
}

function damaged(lba: Lba, what: string): KeyvisorError {
  return new KeyvisorError('gpt-damaged', `the GPT at LBA ${lba} is damaged: ${what}`)
}
