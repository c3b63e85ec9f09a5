/**
 * Reading FAT32: the files of a volume, and where their bytes lie. Spec: "Microsoft Extensible Firmware Initiative FAT32
 * File System Specification" 1.03, sections "Boot Sector and BPB", "FAT Data Structure", "FAT Directory Structure" and
 * "FAT Long Directory Entries".
 *
 * Volumes come from outside: every chain, folder and name is bounded. Left out: FAT12 and FAT16, attributes and times.
 */
import { KeyvisorError } from '../base/errors.js'
import { type Bytes, MiB } from '../base/units.js'
import { gap, latin1, raw, struct, u8, u16, u32 } from './bytes.js'
import type { ReadAt } from './gpt.js'

const BOOT = struct('a FAT boot sector', {
  jump: gap(11), // BS_jmpBoot, BS_OEMName
  sectorBytes: u16, // BPB_BytsPerSec
  clusterSectors: u8, // BPB_SecPerClus
  reserved: u16, // BPB_RsvdSecCnt
  fats: u8, // BPB_NumFATs
  rootEntries: u16, // BPB_RootEntCnt, 0 on FAT32
  sectors16: gap(2), // BPB_TotSec16
  media: gap(1), // BPB_Media
  fatSectors16: u16, // BPB_FATSz16, 0 on FAT32
  geometry: gap(8), // BPB_SecPerTrk, BPB_NumHeads, BPB_HiddSec
  sectors: u32, // BPB_TotSec32
  fatSectors: u32, // BPB_FATSz32
  flags: gap(4), // BPB_ExtFlags, BPB_FSVer
  rootCluster: u32, // BPB_RootClus
  rest: gap(19), // BPB_FSInfo ... BS_BootSig
  serial: u32, // BS_VolID
  label: latin1(11), // BS_VolLab
})

const ENTRY = struct('a FAT folder entry', {
  name: raw(11), // DIR_Name
  attributes: u8, // DIR_Attr
  lower: u8, // DIR_NTRes, of which Windows NT and mtools use two bits
  times: gap(7), // DIR_CrtTimeTenth ... DIR_LstAccDate
  clusterHigh: u16, // DIR_FstClusHI
  written: gap(4), // DIR_WrtTime, DIR_WrtDate
  clusterLow: u16, // DIR_FstClusLO
  size: u32, // DIR_FileSize
})

const LONG = struct('a FAT long name entry', {
  order: u8, // LDIR_Ord
  name1: raw(10), // LDIR_Name1
  kind: gap(3), // LDIR_Attr, LDIR_Type, LDIR_Chksum
  name2: raw(12), // LDIR_Name2
  cluster: gap(2), // LDIR_FstClusLO
  name3: raw(4), // LDIR_Name3
})

const ATTRIBUTE = { folder: 0x10, volume: 0x08, long: 0x0f }
/** In DIR_NTRes: this half of the short name is in lower case (kernel: fs/fat, CASE_LOWER_BASE and CASE_LOWER_EXT). */
const LOWER = { base: 0x08, extension: 0x10 }
const DELETED = 0xe5
const FIRST_CLUSTER = 2
const CLUSTER_MASK = 0x0fffffff
const CHAIN_END = 0x0ffffff8

/** More than any boot partition has; a hostile volume must not eat memory. */
const MOST = { fat: 64 * MiB, folder: 2 * MiB, entries: 10_000, depth: 16 }

/** A run of bytes of the volume. */
export interface Piece {
  offset: Bytes
  length: Bytes
}

interface FoundFatFile {
  /** With slashes, and a leading one. */
  path: string
  size: Bytes
  /** Where its bytes lie, in order. */
  pieces: Piece[]
}

export interface FatVolume {
  label: string
  /** Eight hexadecimal digits. */
  serial: string
  /** Every file, by path. Folders show in the paths of what is in them. */
  files: FoundFatFile[]
}

interface Geometry {
  clusterBytes: Bytes
  /** Where cluster 2 begins. */
  start: Bytes
  table: Buffer
}

/** Reads a volume. Throws KeyvisorError `fat-damaged`. */
export async function readFat(read: ReadAt): Promise<FatVolume> {
  const boot = BOOT.decode(await read(0, 512))
  const geometry = await geometryOf(boot, read)
  const files: FoundFatFile[] = []
  // A folder that has itself in it twice would be read without end.
  const budget = { entries: MOST.entries }
  await readFolder(read, geometry, { cluster: boot.rootCluster, path: '', depth: 0 }, files, budget)
  files.sort((a, b) => (a.path < b.path ? -1 : 1))
  return { label: boot.label.trimEnd(), serial: boot.serial.toString(16).padStart(8, '0'), files }
}

async function geometryOf(boot: ReturnType<typeof BOOT.decode>, read: ReadAt): Promise<Geometry> {
  const { sectorBytes, clusterSectors, reserved, fats, fatSectors } = boot
  const isPower = (value: number) => value > 0 && Number.isInteger(Math.log2(value))
  if (!isPower(sectorBytes) || sectorBytes < 512 || sectorBytes > 4096)
    throw damaged(`sectors of ${sectorBytes} bytes`)
  if (!isPower(clusterSectors)) throw damaged(`clusters of ${clusterSectors} sectors`)
  if (boot.rootEntries !== 0 || boot.fatSectors16 !== 0) throw damaged('it is not FAT32')
  const tableBytes = fatSectors * sectorBytes
  if (fats < 1 || reserved < 1 || tableBytes === 0 || tableBytes > MOST.fat)
    throw damaged(`a table of ${tableBytes} bytes`)
  return {
    clusterBytes: clusterSectors * sectorBytes,
    start: (reserved + fats * fatSectors) * sectorBytes,
    table: await read(reserved * sectorBytes, tableBytes),
  }
}

/** The runs of a chain of clusters, up to `most` bytes. */
function chain({ clusterBytes, start, table }: Geometry, first: number, most: Bytes): Piece[] {
  const pieces: Piece[] = []
  let left = most
  for (let cluster = first; left > 0 && cluster < CHAIN_END; ) {
    // A chain that goes round in a circle ends here too: what is wanted of it is bounded.
    if (cluster < FIRST_CLUSTER || cluster * 4 + 4 > table.length)
      throw damaged(`a chain to cluster ${cluster}`)
    const offset = start + (cluster - FIRST_CLUSTER) * clusterBytes
    const length = Math.min(clusterBytes, left)
    const last = pieces.at(-1)
    if (last && last.offset + last.length === offset) last.length += length
    else pieces.push({ offset, length })
    left -= length
    cluster = table.readUInt32LE(cluster * 4) & CLUSTER_MASK
  }
  return pieces
}

async function readFolder(
  read: ReadAt,
  geometry: Geometry,
  { cluster, path, depth }: { cluster: number; path: string; depth: number },
  files: FoundFatFile[],
  budget: { entries: number },
): Promise<void> {
  if (depth > MOST.depth) throw damaged('folders too deep')
  const bytes = await readPieces(read, chain(geometry, cluster, MOST.folder))
  for (const entry of folderEntries(bytes)) {
    const place = `${path}/${entry.name}`
    if (budget.entries-- === 0) throw damaged(`more than ${MOST.entries} files and folders`)
    if (entry.isFolder) {
      const folder = { cluster: entry.cluster, path: place, depth: depth + 1 }
      await readFolder(read, geometry, folder, files, budget)
    } else {
      const pieces = entry.size === 0 ? [] : chain(geometry, entry.cluster, entry.size)
      files.push({ path: place, size: entry.size, pieces })
    }
  }
}

interface FolderEntry {
  name: string
  isFolder: boolean
  cluster: number
  size: Bytes
}

function folderEntries(bytes: Buffer): FolderEntry[] {
  const entries: FolderEntry[] = []
  let long = ''
  for (let at = 0; at + ENTRY.bytes <= bytes.length && bytes[at] !== 0; at += ENTRY.bytes) {
    const { name, attributes, lower, clusterHigh, clusterLow, size } = ENTRY.decode(bytes, at)
    if (name[0] === DELETED) long = ''
    else if ((attributes & ATTRIBUTE.long) === ATTRIBUTE.long) long = longPart(bytes, at) + long
    else {
      const shown = long || shortName(name, lower)
      long = ''
      if (attributes & ATTRIBUTE.volume || shown === '.' || shown === '..') continue
      const isFolder = (attributes & ATTRIBUTE.folder) !== 0
      entries.push({ name: shown, isFolder, cluster: clusterHigh * 2 ** 16 + clusterLow, size })
    }
  }
  return entries
}

/** Up to 13 characters; the parts of a name stand in reverse order before the entry that they name. */
function longPart(bytes: Buffer, at: number): string {
  const { name1, name2, name3 } = LONG.decode(bytes, at)
  const text = Buffer.concat([name1, name2, name3]).toString('utf16le')
  return text.split('\0')[0] as string
}

function shortName(name: Buffer, lower: number): string {
  const part = (from: number, to: number, bit: number) => {
    const text = name.toString('latin1', from, to).trimEnd()
    return lower & bit ? text.toLowerCase() : text
  }
  const [base, extension] = [part(0, 8, LOWER.base), part(8, 11, LOWER.extension)]
  return extension === '' ? base : `${base}.${extension}`
}

/** The bytes of some pieces, one behind the other. */
export async function readPieces(read: ReadAt, pieces: readonly Piece[]): Promise<Buffer> {
  return Buffer.concat(await Promise.all(pieces.map(({ offset, length }) => read(offset, length))))
}

/** Reads of a file that lies in pieces. */
export function piecesReader(read: ReadAt, pieces: readonly Piece[]): ReadAt {
  return (offset, length) => {
    const wanted: Piece[] = []
    let at = 0
    for (const piece of pieces) {
      const from = Math.max(offset, at)
      const to = Math.min(offset + length, at + piece.length)
      if (from < to) wanted.push({ offset: piece.offset + from - at, length: to - from })
      at += piece.length
    }
    return readPieces(read, wanted)
  }
}

function damaged(what: string): KeyvisorError {
  return new KeyvisorError('fat-damaged', `the FAT file system is damaged: ${what}`)
}
