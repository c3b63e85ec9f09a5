/**
 * The header of a qcow2 image that comes from outside, read before any tool opens the image: QEMU's
 * docs/interop/qcow2.rst, "Header" and "Header extensions".
 *
 * Left out: writing (qemu-img does that), and everything behind the header: tables, snapshots, bitmaps.
 *
 * An image can name other files (backing file, external data file) that a tool would then open with the builder's
 * rights: CVE-2015-5163, CVE-2024-32498. {@link refuseUnsafeQcow2} is what stands between them and the store.
 */
import { KeyvisorError } from '../base/errors.js'
import { type Bytes, formatBytes, KiB, MiB, SECTOR, TiB } from '../base/units.js'
import { asBuffer, flags64be, printable, struct, truncated, u8, u32be, u64be } from './bytes.js'

const HEADER_V2 = struct('a qcow2 header', {
  magic: u32be, // magic
  version: u32be, // version
  backingFileOffset: u64be, // backing_file_offset
  backingFileSize: u32be, // backing_file_size
  clusterBits: u32be, // cluster_bits
  size: u64be, // size
  cryptMethod: u32be, // crypt_method
  l1Size: u32be, // l1_size
  l1TableOffset: u64be, // l1_table_offset
  refcountTableOffset: u64be, // refcount_table_offset
  refcountTableClusters: u32be, // refcount_table_clusters
  snapshots: u32be, // nb_snapshots
  snapshotsOffset: u64be, // snapshots_offset
})

const HEADER_V3 = struct('a qcow2 version 3 header', {
  incompatible: flags64be, // incompatible_features
  compatible: flags64be, // compatible_features
  autoclear: flags64be, // autoclear_features
  refcountOrder: u32be, // refcount_order
  headerLength: u32be, // header_length
})

const EXTENSION = struct('a qcow2 header extension', {
  type: u32be, // Header extension type
  length: u32be, // Length of the header extension data
})

const MAGIC = 0x514649fb // "QFI\xfb"

/** Bits of `incompatible_features`. */
const INCOMPATIBLE = { dirty: 1n, corrupt: 2n, dataFile: 4n, compression: 8n, extendedL2: 16n } as const
const KNOWN_INCOMPATIBLE = 31n

/** Header extension types. */
const EXTENSION_TYPE = {
  end: 0,
  backingFormat: 0xe2792aca,
  featureNames: 0x6803f857,
  bitmaps: 0x23852875,
  encryption: 0x0537be77,
  dataFile: 0x44415441,
} as const

/** "The maximum is 1023 bytes" (backing_file_size). */
const MOST_NAME_BYTES = 1023
/** QEMU's own limits (block/qcow2.h): larger tables are refused there too. */
const MOST_L1_BYTES = 32 * MiB
const MOST_REFCOUNT_TABLE_BYTES = 8 * MiB
const MOST_SNAPSHOTS = 65536
/** The largest file of an ext4 with 4 KiB blocks: no filled disk could ever be more than that on a stick. */
export const MOST_DISK_BYTES = 16 * TiB

/** Bytes to read from the start of a file: headers that need more are refused. */
export const QCOW2_HEAD_BYTES = 64 * KiB

type Qcow2Encryption = 'none' | 'aes' | 'luks' | 'unknown'
type Qcow2Compression = 'zlib' | 'zstd' | 'unknown'

export interface Qcow2Header {
  version: 2 | 3
  /** Size of the disk that a guest would see. */
  size: Bytes
  clusterBytes: Bytes
  /** Null when there is none. The name is as the image has it: never open it. */
  backingFile: { name: string; format: string } | null
  /** Null when there is none; an empty name where the image keeps it outside. */
  dataFile: string | null
  encryption: Qcow2Encryption
  compression: Qcow2Compression
  dirty: boolean
  corrupt: boolean
  extendedL2: boolean
  /** Incompatible feature bits that the specification does not know. */
  unknownIncompatible: bigint
  snapshots: number
  bitmaps: boolean
  l1Bytes: Bytes
  refcountTableBytes: Bytes
  refcountBits: number
  /** Where in the file these begin. */
  offsets: { l1Table: Bytes; refcountTable: Bytes; snapshots: Bytes }
}

/** True when these first bytes of a file claim to be a qcow2 image. */
export function looksLikeQcow2(head: Uint8Array): boolean {
  return head.length >= 4 && asBuffer(head).readUInt32BE(0) === MAGIC
}

/**
 * Decodes the header in the first {@link QCOW2_HEAD_BYTES} of a file (fewer where the file is shorter). `name` is how
 * the user knows the image. Throws KeyvisorError `qcow2-damaged`.
 */
export function decodeQcow2(head: Uint8Array, name: string): Qcow2Header {
  try {
    return decodeHeader(head)
  } catch (error) {
    if (!(error instanceof KeyvisorError)) throw error
    throw damaged(name, error.message)
  }
}

function decodeHeader(head: Uint8Array): Qcow2Header {
  if (!looksLikeQcow2(head)) throw wrong('its magic')
  const v2 = HEADER_V2.decode(head)
  const { version } = v2
  if (version !== 2 && version !== 3) throw wrong(`version ${version}`)
  if (v2.clusterBits < 9 || v2.clusterBits > 21) throw wrong(`cluster_bits ${v2.clusterBits}`)
  const v3 = version === 3 ? decodeVersion3(head) : VERSION_2
  const extensions = decodeExtensions(head, v3.headerLength)
  const clusterBytes = 2 ** v2.clusterBits
  return {
    version,
    size: v2.size,
    clusterBytes,
    backingFile: backingFile(head, v2, extensions),
    dataFile: dataFile(v3.incompatible, extensions),
    encryption: encryption(v2.cryptMethod, extensions),
    compression: (['zlib', 'zstd'] as const)[v3.compressionType] ?? 'unknown',
    dirty: (v3.incompatible & INCOMPATIBLE.dirty) !== 0n,
    corrupt: (v3.incompatible & INCOMPATIBLE.corrupt) !== 0n,
    extendedL2: (v3.incompatible & INCOMPATIBLE.extendedL2) !== 0n,
    unknownIncompatible: v3.incompatible & ~KNOWN_INCOMPATIBLE,
    snapshots: v2.snapshots,
    bitmaps: extensions.has(EXTENSION_TYPE.bitmaps),
    l1Bytes: v2.l1Size * 8,
    refcountTableBytes: v2.refcountTableClusters * clusterBytes,
    refcountBits: 2 ** v3.refcountOrder,
    offsets: {
      l1Table: v2.l1TableOffset,
      refcountTable: v2.refcountTableOffset,
      snapshots: v2.snapshotsOffset,
    },
  }
}

/** What version 2 means by its missing fields ("For version 2, the header is exactly 72 bytes"). */
const VERSION_2 = { incompatible: 0n, refcountOrder: 4, headerLength: HEADER_V2.bytes, compressionType: 0 }

function decodeVersion3(head: Uint8Array): typeof VERSION_2 {
  const { incompatible, refcountOrder, headerLength } = HEADER_V3.decode(head, HEADER_V2.bytes)
  const least = HEADER_V2.bytes + HEADER_V3.bytes
  if (headerLength < least || headerLength % 8 !== 0) throw wrong(`header_length ${headerLength}`)
  if (headerLength > head.length) throw truncated('a qcow2 header', headerLength, head.length)
  if (refcountOrder > 6) throw wrong(`refcount_order ${refcountOrder}`)
  const compressionType = headerLength > least ? u8.decode(asBuffer(head), least) : 0
  // "If the compression type bit is not set, this field must be 0 (or absent)", and the other way round.
  if ((compressionType !== 0) !== ((incompatible & INCOMPATIBLE.compression) !== 0n))
    throw wrong(`compression_type ${compressionType} against its feature bit`)
  return { incompatible, refcountOrder, headerLength, compressionType }
}

function decodeExtensions(head: Uint8Array, start: number): Map<number, Buffer> {
  const extensions = new Map<number, Buffer>()
  for (let at = start; ; ) {
    const { type, length } = EXTENSION.decode(head, at)
    if (type === EXTENSION_TYPE.end) return extensions
    const from = at + EXTENSION.bytes
    if (from + length > head.length) throw truncated('a qcow2 header extension', from + length, head.length)
    extensions.set(type, Buffer.from(head.subarray(from, from + length)))
    at = from + Math.ceil(length / 8) * 8 // "padded to a multiple of 8"
  }
}

/** A backing file is one whose offset is not 0, whatever else is or is not there. */
function backingFile(
  head: Uint8Array,
  { backingFileOffset, backingFileSize }: { backingFileOffset: number; backingFileSize: number },
  extensions: Map<number, Buffer>,
): Qcow2Header['backingFile'] {
  if (backingFileOffset === 0) return null
  if (backingFileSize > MOST_NAME_BYTES) throw wrong(`backing_file_size ${backingFileSize}`)
  const name = asBuffer(head).toString('utf8', backingFileOffset, backingFileOffset + backingFileSize)
  return { name, format: text(extensions.get(EXTENSION_TYPE.backingFormat)) }
}

function dataFile(incompatible: bigint, extensions: Map<number, Buffer>): string | null {
  const named = extensions.get(EXTENSION_TYPE.dataFile)
  return named || incompatible & INCOMPATIBLE.dataFile ? text(named) : null
}

function encryption(cryptMethod: number, extensions: Map<number, Buffer>): Qcow2Encryption {
  if (extensions.has(EXTENSION_TYPE.encryption)) return 'luks'
  return (['none', 'aes', 'luks'] as const)[cryptMethod] ?? 'unknown'
}

function text(bytes: Buffer | undefined): string {
  return bytes?.toString('utf8') ?? ''
}

function wrong(field: string): KeyvisorError {
  return new KeyvisorError('qcow2-damaged', `its header has ${field}`)
}

function damaged(name: string, what: string): KeyvisorError {
  const hint = 'take another copy of the image: this one is damaged, or was not copied to its end'
  return new KeyvisorError('qcow2-damaged', `${name} is damaged: ${what}`, { hint })
}

/**
 * Refuses what a base image must not be. `name` is how the user knows the image. Throws KeyvisorError
 * `qcow2-backing-file`, `qcow2-data-file`, `qcow2-encrypted`, `qcow2-corrupt`, `qcow2-unknown-feature` or
 * `qcow2-absurd-size`. A dirty image passes: only its reference counts are old, and reading does not need them.
 */
export function refuseUnsafeQcow2(header: Qcow2Header, name: string): void {
  const { backingFile, dataFile, encryption, unknownIncompatible } = header
  const refuse = (code: string, what: string, hint: string) => {
    throw new KeyvisorError(code, `${name}: ${what}`, { hint })
  }
  if (backingFile)
    refuse(
      'qcow2-backing-file',
      `has a backing file, ${quote(backingFile.name)}`,
      flatten('where you trust it'),
    )
  if (dataFile !== null)
    refuse('qcow2-data-file', `has an external data file, ${quote(dataFile)}`, flatten('where you trust it'))
  if (encryption !== 'none')
    refuse(
      'qcow2-encrypted',
      `is encrypted (${encryption})`,
      'decrypt it: qemu-img convert can, given its secret',
    )
  if (header.corrupt)
    refuse('qcow2-corrupt', 'is marked as corrupt', `mend a copy: qemu-img check -r all COPY`)
  if (unknownIncompatible !== 0n || header.compression === 'unknown')
    refuse(
      'qcow2-unknown-feature',
      `needs features that are not known here (bits 0x${unknownIncompatible.toString(16)}, compression ${header.compression})`,
      flatten('with a QEMU that knows it'),
    )
  refuseAbsurdSizes(header, name)
}

function refuseAbsurdSizes(header: Qcow2Header, name: string): void {
  const { size, clusterBytes, extendedL2, l1Bytes, refcountTableBytes, snapshots } = header
  const absurd = (what: string) => {
    throw new KeyvisorError('qcow2-absurd-size', `${name}: ${what}`, {
      hint: 'take another copy of the image: this one is damaged or made to do harm',
    })
  }
  if (size === 0) absurd('its disk has no bytes')
  if (size % SECTOR !== 0) absurd(`its disk of ${size} bytes has no whole number of sectors`)
  if (size > MOST_DISK_BYTES)
    absurd(`its disk of ${size} bytes is over the limit of ${formatBytes(MOST_DISK_BYTES)}`)
  if (l1Bytes > MOST_L1_BYTES)
    absurd(`its L1 table of ${l1Bytes} bytes is over ${formatBytes(MOST_L1_BYTES)}`)
  if (l1Bytes < leastL1Bytes(header)) absurd(`its L1 table of ${l1Bytes} bytes is too small for its disk`)
  if (refcountTableBytes > MOST_REFCOUNT_TABLE_BYTES)
    absurd(`its refcount table has ${refcountTableBytes} bytes`)
  if (snapshots > MOST_SNAPSHOTS) absurd(`it has ${snapshots} snapshots`)
  // "Extended L2 entries: cluster_bits must be at least 14".
  if (extendedL2 && clusterBytes < 16 * KiB) absurd(`its clusters of ${clusterBytes} bytes cannot be divided`)
}

/** "The L1 table must be large enough for the whole disk": one L2 table a cluster, entries of 8 or 16 bytes. */
function leastL1Bytes({ size, clusterBytes, extendedL2 }: Qcow2Header): Bytes {
  const perTable = (clusterBytes / (extendedL2 ? 16 : 8)) * clusterBytes
  return Math.ceil(size / perTable) * 8
}

/**
 * Refuses an image whose tables are not where its header says, or behind the end of a file of `size` bytes. Throws
 * KeyvisorError `qcow2-damaged`.
 */
export function refuseCutQcow2(header: Qcow2Header, size: Bytes, name: string): void {
  const { offsets, l1Bytes, refcountTableBytes, clusterBytes, snapshots } = header
  const tables: [table: string, offset: Bytes, bytes: Bytes][] = [
    ['L1 table', offsets.l1Table, l1Bytes],
    // An image that is dirty may have none: it is made anew from the other tables.
    ['refcount table', offsets.refcountTable, refcountTableBytes || (header.dirty ? 0 : 1)],
    ['snapshot table', offsets.snapshots, snapshots && 1],
  ]
  for (const [table, offset, bytes] of tables) {
    if (bytes === 0) continue
    if (offset === 0 || offset % clusterBytes !== 0)
      throw damaged(name, `its ${table} cannot begin at byte ${offset}`)
    if (offset + bytes > size)
      throw damaged(name, `its ${table} ends at byte ${offset + bytes}, and the file has ${size}`)
  }
}

function flatten(how: string): string {
  return `make one file of it ${how}: qemu-img convert -O qcow2 IMAGE FLAT`
}

/** A name out of an image, fit to be shown: no escape sequences, not endless. */
function quote(name: string): string {
  return printable(JSON.stringify(name.slice(0, 200)))
}
