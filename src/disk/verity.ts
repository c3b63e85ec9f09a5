/**
 * The superblock of a dm-verity hash device, and hash trees without a salt: cryptsetup's wiki, page "DMVerity", "On-disk format"; struct
 * verity_sb of its lib/verity/verity.c.
 *
 * Left out: verifying, which veritysetup and the kernel do.
 */
import { createHash } from 'node:crypto'
import { lookUp } from '../base/lookup.js'
import { alignUp, type Bytes } from '../base/units.js'
import { gap, latin1, raw, struct, u16, u32, u64, uuid } from './bytes.js'

const SUPERBLOCK = struct('a verity superblock', {
  signature: latin1(8), // signature, "verity\0\0"
  version: u32, // version
  hashType: u32, // hash_type: 1 normal, 0 ChromiumOS
  uuid, // uuid
  algorithm: latin1(32), // algorithm
  dataBlockBytes: u32, // data_block_size
  hashBlockBytes: u32, // hash_block_size
  dataBlocks: u64, // data_blocks
  saltBytes: u16, // salt_size
  padding1: gap(6), // _pad1
  salt: raw(256), // salt
  padding2: gap(168), // _pad2
})

export const VERITY_SUPERBLOCK_BYTES: Bytes = SUPERBLOCK.bytes

/** Bytes a digest takes in the tree: rounded up to a power of two. */
export const DIGEST_BYTES = { sha1: 32, sha256: 32, sha512: 64 } as const satisfies Record<string, Bytes>

export interface VeritySuperblock {
  uuid: string
  algorithm: string
  dataBlockBytes: Bytes
  hashBlockBytes: Bytes
  dataBlocks: number
  /** Hexadecimal; empty when there is none. */
  salt: string
}

/** Undefined when these bytes are not a verity superblock that can be believed. */
export function decodeVerity(bytes: Uint8Array): VeritySuperblock | undefined {
  if (bytes.length < SUPERBLOCK.bytes) return undefined
  const { signature, version, hashType, saltBytes, salt, ...rest } = SUPERBLOCK.decode(bytes)
  if (signature !== 'verity' || version !== 1 || hashType > 1 || saltBytes > salt.length) return undefined
  if (!isBlock(rest.dataBlockBytes) || !isBlock(rest.hashBlockBytes)) return undefined
  if (!Number.isSafeInteger(rest.dataBlocks * rest.dataBlockBytes)) return undefined
  return { ...rest, salt: salt.toString('hex', 0, saltBytes) }
}

/** Bytes of superblock and hash tree; undefined for a hash algorithm that is not known here. */
export function verityTreeBytes({
  algorithm,
  dataBlocks,
  hashBlockBytes,
}: VeritySuperblock): Bytes | undefined {
  const digestBytes = lookUp<Bytes>(DIGEST_BYTES, algorithm)
  if (!digestBytes) return undefined
  return treeBytes(dataBlocks, hashBlockBytes, digestBytes)
}

/** A superblock, and levels of blocks of digests down to one (Linux, verity.rst, "Hash Tree"). */
export function treeBytes(dataBlocks: number, hashBlockBytes: Bytes, digestBytes: Bytes): Bytes {
  const perBlock = hashBlockBytes / digestBytes
  let blocks = 1
  for (let level = dataBlocks; level > 1; ) {
    level = Math.ceil(level / perBlock)
    blocks += level
  }
  return blocks * hashBlockBytes
}

function isBlock(bytes: Bytes): boolean {
  return bytes >= 512 && bytes <= 1 << 19 && Number.isInteger(Math.log2(bytes))
}

// ------------------------------------------------------------------------------------ hash trees without a salt

/** Data and hash blocks: the page size of every PC. */
export const VERITY_BLOCK: Bytes = 4096
const LEAF: Bytes = DIGEST_BYTES.sha256

/** The digest of each block, one behind the other; the last block may be a part of one, and counts as filled with zeros. */
export function verityLeaves(bytes: Uint8Array): Buffer {
  const leaves = Buffer.allocUnsafe(Math.ceil(bytes.length / VERITY_BLOCK) * LEAF)
  for (let at = 0, leaf = 0; at < bytes.length; at += VERITY_BLOCK, leaf += LEAF) {
    const block = bytes.subarray(at, at + VERITY_BLOCK)
    digestOf(block.length < VERITY_BLOCK ? Buffer.concat([block], VERITY_BLOCK) : block).copy(leaves, leaf)
  }
  return leaves
}

function digestOf(block: Uint8Array): Buffer {
  return createHash('sha256').update(block).digest()
}

/** Bytes of the leaves of that many bytes. */
export function leavesBytes(bytes: Bytes): Bytes {
  return Math.ceil(bytes / VERITY_BLOCK) * LEAF
}

/** What stands above the leaves: little enough to be held, a 128th of them. */
export interface UpperTree {
  /** Hexadecimal. */
  rootHash: string
  /** All levels but the leaves', from the root down, as they stand in a hash device. */
  levels: Buffer
}

/** Takes leaves as they come, in pieces of any size, and answers with the tree above them. */
export function upperTree(): { add: (leaves: Uint8Array) => void; finish: () => UpperTree } {
  const blocks = inBlocks()
  const parents: Buffer[] = []
  return {
    add: (leaves) => {
      for (const block of blocks.add(leaves)) parents.push(digestOf(block))
    },
    finish: () => {
      for (const block of blocks.rest()) parents.push(digestOf(block))
      const levels: Buffer[] = []
      let level: Buffer = Buffer.concat(parents)
      while (level.length > LEAF) {
        const padded = Buffer.concat([level], alignUp(level.length, VERITY_BLOCK))
        levels.unshift(padded)
        level = verityLeaves(padded)
      }
      return { rootHash: level.toString('hex'), levels: Buffer.concat(levels) }
    },
  }
}

/** Cuts what comes into whole blocks; the last one is filled with zeros. */
function inBlocks(): { add: (bytes: Uint8Array) => Uint8Array[]; rest: () => Uint8Array[] } {
  let left: Uint8Array = new Uint8Array(0)
  return {
    add(bytes) {
      const all = left.length > 0 ? Buffer.concat([left, bytes]) : bytes
      const whole = all.length - (all.length % VERITY_BLOCK)
      left = Buffer.from(all.subarray(whole))
      const blocks: Uint8Array[] = []
      for (let at = 0; at < whole; at += VERITY_BLOCK) blocks.push(all.subarray(at, at + VERITY_BLOCK))
      return blocks
    },
    rest: () => (left.length > 0 ? [Buffer.concat([left], VERITY_BLOCK)] : []),
  }
}

/** The superblock of a tree without a salt, as a whole block. */
export function encodeVerity(uuid: string, dataBlocks: number): Buffer {
  const superblock = SUPERBLOCK.encode({
    signature: 'verity',
    version: 1,
    hashType: 1,
    uuid,
    algorithm: 'sha256',
    dataBlockBytes: VERITY_BLOCK,
    hashBlockBytes: VERITY_BLOCK,
    dataBlocks,
    saltBytes: 0,
    salt: Buffer.alloc(0),
  })
  return Buffer.concat([superblock], VERITY_BLOCK)
}
