/**
 * EROFS, in its plainest form: one folder of files, each of which is one run of whole blocks, as it is.
 *
 * So a file system is some blocks of metadata, and then the files one behind the other: nobody needs to hold or copy them
 * to know it. Spec: Linux, Documentation/filesystems/erofs.rst, section "On-disk details", and fs/erofs/erofs_fs.h, whose
 * names the comments have. Left out, of reading too: compression, chunks, inline data, extended attributes, folders below
 * the first.
 */
import { KeyvisorError } from '../base/errors.js'
import { alignUp, type Bytes, KiB } from '../base/units.js'
import { gap, latin1, struct, u8, u16, u32, u64, uuid } from './bytes.js'
import { crc32c } from './crc32c.js'
import type { ReadAt } from './gpt.js'

/** The page size of every PC. */
export const EROFS_BLOCK: Bytes = 4 * KiB

const SUPERBLOCK_AT = 1024

const SUPERBLOCK = struct('an EROFS superblock', {
  magic: u32, // magic
  checksum: u32, // checksum
  compatible: u32, // feature_compat
  blockBits: u8, // blkszbits
  slots: gap(1), // sb_extslots
  rootNid: u16, // root_nid
  inodes: u64, // inos
  buildTime: u64, // build_time
  buildNanoseconds: gap(4), // build_time_nsec
  blocks: u32, // blocks
  metaBlock: u32, // meta_blkaddr
  xattrBlock: gap(4), // xattr_blkaddr
  uuid, // uuid
  label: latin1(16), // volume_name
  incompatible: u32, // feature_incompat
  rest: gap(44), // u1 ... reserved2
})

const INODE = struct('an EROFS inode', {
  format: u16, // i_format
  xattrs: gap(2), // i_xattr_icount
  mode: u16, // i_mode
  reserved: gap(2), // i_reserved
  size: u64, // i_size
  block: u32, // i_u.raw_blkaddr
  number: u32, // i_ino
  owner: u32, // i_uid
  group: u32, // i_gid
  time: u64, // i_mtime
  nanoseconds: gap(4), // i_mtime_nsec
  links: u32, // i_nlink
  reserved2: gap(16), // i_reserved2
})

const ENTRY = struct('an EROFS folder entry', {
  nid: u64, // nid
  nameAt: u16, // nameoff
  kind: u8, // file_type
  reserved: gap(1), // reserved
})

const MAGIC = 0xe0f5e1e2
/** EROFS_FEATURE_COMPAT_SB_CHKSUM. */
const CHECKSUM = 1
/** An inode of the extended form, whose data is EROFS_INODE_FLAT_PLAIN. */
const PLAIN = 1
/** Inodes are known by their place, in units of 32 bytes. */
const NID: Bytes = 32
/** Block 0 has the superblock. */
const INODES_AT: Bytes = EROFS_BLOCK

const FOLDER = { mode: 0o40555, kind: 2 }
const FILE = { mode: 0o100444, kind: 1 }
const MODE_KIND = 0o170000

/** A file that comes behind the metadata. */
interface ErofsFile {
  name: string
  size: Bytes
}

export interface ErofsRequest {
  label: string
  uuid: string
  /** Of all that is on it; seconds. */
  epoch: number
  /** In the order in which they lie behind the metadata. Names of ASCII alone, and none twice. */
  files: readonly ErofsFile[]
}

export interface Erofs {
  /** Superblock, inodes and the folder: the file system's first bytes. */
  metadata: Buffer
  /** Where each file begins, in the order of the request. A file is followed by zeros up to the next block. */
  offsets: Bytes[]
  /** Of the whole file system. */
  size: Bytes
}

interface Placed extends ErofsFile {
  nid: number
  block: number
}

/** Lays a file system out. */
export function encodeErofs({ label, uuid, epoch, files }: ErofsRequest): Erofs {
  const folderAt = alignUp(INODES_AT + (files.length + 1) * INODE.bytes, EROFS_BLOCK)
  const nidOf = (index: number) => (INODES_AT + index * INODE.bytes) / NID
  const links = [
    { name: '.', nid: nidOf(0), kind: FOLDER.kind },
    { name: '..', nid: nidOf(0), kind: FOLDER.kind },
    ...files.map(({ name }, index) => ({ name, nid: nidOf(index + 1), kind: FILE.kind })),
  ]
  const folder = encodeFolder(links)
  let end = folderAt + alignUp(folder.length, EROFS_BLOCK)
  const placed = files.map((file, index): Placed => {
    const block = end / EROFS_BLOCK
    end += alignUp(file.size, EROFS_BLOCK)
    return { ...file, nid: nidOf(index + 1), block }
  })
  const metadata = Buffer.alloc(folderAt + alignUp(folder.length, EROFS_BLOCK))
  const inode = (index: number, size: Bytes, block: number, mode: number, links: number) => {
    const values = {
      format: PLAIN,
      mode,
      size,
      block,
      number: index + 1,
      owner: 0,
      group: 0,
      time: epoch,
      links,
    }
    INODE.encode(values).copy(metadata, INODES_AT + index * INODE.bytes)
  }
  inode(0, folder.length, folderAt / EROFS_BLOCK, FOLDER.mode, 2)
  for (const [index, { size, block }] of placed.entries()) inode(index + 1, size, block, FILE.mode, 1)
  folder.copy(metadata, folderAt)
  encodeSuperblock({ label, uuid, epoch, inodes: files.length + 1, blocks: end / EROFS_BLOCK }, metadata)
  return { metadata, offsets: placed.map(({ block }) => block * EROFS_BLOCK), size: end }
}

function encodeSuperblock(
  { epoch, ...values }: { label: string; uuid: string; epoch: number; inodes: number; blocks: number },
  metadata: Buffer,
): void {
  const superblock = SUPERBLOCK.encode({
    ...values,
    magic: MAGIC,
    checksum: 0,
    compatible: CHECKSUM,
    blockBits: Math.log2(EROFS_BLOCK),
    rootNid: INODES_AT / NID,
    buildTime: epoch,
    metaBlock: 0,
    incompatible: 0,
  })
  superblock.copy(metadata, SUPERBLOCK_AT)
  metadata.writeUInt32LE(crc32c(metadata.subarray(SUPERBLOCK_AT, EROFS_BLOCK)), SUPERBLOCK_AT + 4)
}

interface Link {
  name: string
  nid: number
  kind: number
}

/** Blocks of entries, each followed by its names; all in the order of their bytes. The last block ends with its names. */
function encodeFolder(links: Link[]): Buffer {
  const sorted = links.toSorted((a, b) => Buffer.compare(Buffer.from(a.name), Buffer.from(b.name)))
  const blocks: Link[][] = [[]]
  let used = 0
  for (const link of sorted) {
    const bytes = ENTRY.bytes + link.name.length
    if (used + bytes > EROFS_BLOCK) {
      blocks.push([])
      used = 0
    }
    used += bytes
    blocks.at(-1)?.push(link)
  }
  const encoded = blocks.map(encodeFolderBlock)
  return Buffer.concat(
    encoded.map((block, index) => {
      return index < encoded.length - 1 ? Buffer.concat([block], EROFS_BLOCK) : block
    }),
  )
}

function encodeFolderBlock(links: Link[]): Buffer {
  let nameAt = links.length * ENTRY.bytes
  const entries = links.map(({ name, nid, kind }) => {
    const entry = ENTRY.encode({ nid, nameAt, kind })
    nameAt += name.length
    return entry
  })
  return Buffer.concat([...entries, Buffer.from(links.map(({ name }) => name).join(''), 'latin1')])
}

// ------------------------------------------------------------------------------------ reading

/** What {@link readErofs} found. */
export interface FoundFile {
  name: string
  size: Bytes
  offset: Bytes
  mode: number
  owner: number
  group: number
}

/** More files than this are no file system of this kind. */
const MOST_FILES = 4096

/** Size and name of the file system that begins with these 4 KiB; undefined where none does. */
export function decodeErofs(head: Uint8Array): { bytes: Bytes; label: string; uuid: string } | undefined {
  if (head.length < SUPERBLOCK_AT + SUPERBLOCK.bytes) return undefined
  const { magic, blockBits, blocks, label, uuid } = SUPERBLOCK.decode(head, SUPERBLOCK_AT)
  if (magic !== MAGIC || blockBits < 9 || blockBits > 16) return undefined
  return { bytes: blocks * 2 ** blockBits, label, uuid }
}

/** The files of a file system that {@link encodeErofs} laid out, and whose blocks `read` reads. Throws `library-damaged`. */
export async function readErofs(read: ReadAt): Promise<FoundFile[]> {
  try {
    return await readFiles(read)
  } catch (error) {
    if (error instanceof KeyvisorError && error.code === 'truncated') throw damaged(error.message)
    throw error
  }
}

async function readFiles(read: ReadAt): Promise<FoundFile[]> {
  const head = await read(0, EROFS_BLOCK)
  const { magic, blockBits, rootNid, metaBlock } = SUPERBLOCK.decode(head, SUPERBLOCK_AT)
  if (magic !== MAGIC || 2 ** blockBits !== EROFS_BLOCK) throw damaged('it has no superblock')
  const inodeAt = async (nid: number) => {
    const inode = INODE.decode(await read(metaBlock * EROFS_BLOCK + nid * NID, INODE.bytes))
    if (inode.format !== PLAIN) throw damaged(`its inode ${nid} has format ${inode.format}`)
    return inode
  }
  const root = await inodeAt(rootNid)
  if ((root.mode & MODE_KIND) !== (FOLDER.mode & MODE_KIND)) throw damaged('it has no folder')
  if (root.size > MOST_FILES * 512) throw damaged(`its folder has ${root.size} bytes`)
  const folder = await read(root.block * EROFS_BLOCK, root.size)
  if (folder.length < root.size) throw damaged('its folder is behind its end')
  const files: FoundFile[] = []
  for (const { name, nid } of decodeFolder(folder)) {
    if (name === '.' || name === '..') continue
    const { size, block, mode, owner, group } = await inodeAt(nid)
    files.push({ name, size, offset: block * EROFS_BLOCK, mode, owner, group })
  }
  return files
}

function decodeFolder(folder: Buffer): { name: string; nid: number }[] {
  const found: { name: string; nid: number }[] = []
  for (let at = 0; at < folder.length; at += EROFS_BLOCK) {
    found.push(...decodeFolderBlock(folder.subarray(at, at + EROFS_BLOCK)))
  }
  if (found.length > MOST_FILES) throw damaged(`it has ${found.length} files`)
  return found
}

/** The first name stands right behind the entries, and so tells how many there are. */
function decodeFolderBlock(block: Buffer): { name: string; nid: number }[] {
  const count = ENTRY.decode(block).nameAt / ENTRY.bytes
  if (!Number.isInteger(count) || count < 1) throw damaged('its folder has no entries')
  const entries = Array.from({ length: count }, (_, index) => ENTRY.decode(block, index * ENTRY.bytes))
  return entries.map(({ nid, nameAt }, index) => {
    const end = entries[index + 1]?.nameAt ?? block.length
    if (nameAt > end || end > block.length) throw damaged('a name of its folder is not in it')
    return { name: block.toString('latin1', nameAt, end).replace(/\0.*$/s, ''), nid }
  })
}

function damaged(why: string): KeyvisorError {
  return new KeyvisorError('library-damaged', `the library cannot be read: ${why}`)
}
