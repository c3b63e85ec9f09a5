/**
 * The superblock of a dm-verity hash device: cryptsetup's wiki, page "DMVerity", "On-disk format"; struct
 * verity_sb of its lib/verity/verity.c.
 *
 * Decoded only, to tell what an image holds: veritysetup writes and checks.
 */
import { lookUp } from '../base/lookup.js'
import type { Bytes } from '../base/units.js'
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
