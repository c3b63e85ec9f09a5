/**
 * What a partition holds, told from its first bytes, for people who look at an image.
 *
 * Knows what Keyvisor's images and the data partition carry, and nothing else. Each superblock's specification is
 * named beside its table. Left out: whether the contents are sound, which other people's checkers tell.
 */
import { type Bytes, KiB } from '../base/units.js'
import { gap, latin1, printable, raw, struct, u8, u16, u32, u64, uuid } from './bytes.js'
import { decodeErofs } from './erofs.js'
import { decodeCoreImage } from './grub.js'
import { decodeVerity, type VeritySuperblock } from './verity.js'

/** Bytes that {@link identify} wants of a partition's start. */
export const IDENTIFY_BYTES: Bytes = 4 * KiB

/** `bytes` is what the file system itself says that it fills. Labels are fit to be shown on a terminal. */
export type Content =
  | { kind: 'squashfs'; bytes: Bytes }
  | { kind: 'erofs'; bytes: Bytes; label: string; uuid: string }
  /** ext2 and ext3 too: they share the superblock. */
  | { kind: 'ext4'; bytes: Bytes; label: string; uuid: string }
  | { kind: 'fat'; bytes: Bytes; label: string }
  | { kind: 'luks'; version: number; uuid: string; label: string }
  | { kind: 'verity'; superblock: VeritySuperblock }
  /** GRUB's core image for BIOS; `start` is where it looks for its second sector. */
  | { kind: 'grub'; bytes: Bytes; start: number }
  /** The first bytes are all zero. */
  | { kind: 'zeros' }
  | { kind: 'unknown' }

/** Squashfs 4.0 superblock, kernel fs/squashfs/squashfs_fs.h. */
const SQUASHFS = struct('a squashfs superblock', {
  magic: latin1(4), // s_magic
  counts: gap(24), // inodes ... no_ids
  major: u16, // s_major
  minor: gap(2), // s_minor
  rootInode: gap(8), // root_inode
  bytesUsed: u64, // bytes_used
})

/** ext4 superblock at byte 1024, kernel Documentation/filesystems/ext4/super.rst. */
const EXT4 = struct('an ext4 superblock', {
  inodes: gap(4), // s_inodes_count
  blocksLow: u32, // s_blocks_count_lo
  free: gap(16), // s_r_blocks_count_lo ... s_first_data_block
  logBlockSize: u32, // s_log_block_size
  times: gap(28), // s_log_cluster_size ... s_max_mnt_count
  magic: u16, // s_magic
  state: gap(38), // s_state ... s_feature_compat
  incompatible: u32, // s_feature_incompat
  readOnly: gap(4), // s_feature_ro_compat
  uuid, // s_uuid
  label: latin1(16), // s_volume_name
  rest: gap(0x150 - 0x88), // s_last_mounted ...
  blocksHigh: u32, // s_blocks_count_hi
})
const EXT4_AT = 1024
const EXT4_64BIT = 0x80

/** FAT boot sector, "Microsoft Extensible Firmware Initiative FAT32 File System Specification", section 3. */
const FAT = struct('a FAT boot sector', {
  jump: u8, // BS_jmpBoot
  oem: gap(10), // BS_jmpBoot, BS_OEMName
  sectorBytes: u16, // BPB_BytsPerSec
  clusterSectors: u8, // BPB_SecPerClus
  reserved: u16, // BPB_RsvdSecCnt
  fats: u8, // BPB_NumFATs
  rootEntries: gap(2), // BPB_RootEntCnt
  sectors16: u16, // BPB_TotSec16
  geometry: gap(11), // BPB_Media ... BPB_HiddSec
  sectors32: u32, // BPB_TotSec32
  start: gap(7), // FAT16: BS_DrvNum ... BS_VolID; FAT32: BPB_FATSz32, flags
  label16: latin1(11), // BS_VolLab of FAT12 and FAT16
  type16: latin1(8), // BS_FilSysType of FAT12 and FAT16
  middle: gap(9), // FAT32: BS_Reserved1, BS_BootSig, BS_VolID
  label32: latin1(11), // BS_VolLab of FAT32
  type32: latin1(8), // BS_FilSysType of FAT32
  code: gap(420), // boot code
  signature: u16, // Signature_word
})

/** LUKS2 On-Disk Format Specification, section 2.1; LUKS1 has the same magic, version and UUID places. */
const LUKS = struct('a LUKS header', {
  magic: raw(6), // magic
  version: raw(2), // version, big-endian
  sizes: gap(16), // hdr_size, seqid
  label: latin1(48), // label
  salts: gap(96), // csum_alg, salt
  uuid: latin1(40), // uuid
})
const LUKS_MAGIC = Buffer.from('4c554b53babe', 'hex') // "LUKS\xba\xbe"

/** Tells what begins with these bytes; fewer than {@link IDENTIFY_BYTES} are taken as followed by zeros. */
export function identify(start: Uint8Array): Content {
  const head = Buffer.alloc(IDENTIFY_BYTES)
  head.set(start.subarray(0, IDENTIFY_BYTES))
  if (head.every((byte) => byte === 0)) return { kind: 'zeros' }
  const superblock = decodeVerity(head)
  if (superblock) return { kind: 'verity', superblock }
  return (
    squashfs(head) ??
    luks(head) ??
    erofs(head) ??
    ext4(head) ??
    fat(head) ??
    grub(head) ?? { kind: 'unknown' }
  )
}

function squashfs(head: Buffer): Content | undefined {
  const { magic, major, bytesUsed } = SQUASHFS.decode(head)
  return magic === 'hsqs' && major === 4 ? { kind: 'squashfs', bytes: bytesUsed } : undefined
}

function luks(head: Buffer): Content | undefined {
  const { magic, version, label, uuid } = LUKS.decode(head)
  if (!magic.equals(LUKS_MAGIC)) return undefined
  const number = version.readUInt16BE(0)
  return { kind: 'luks', version: number, uuid: printable(uuid), label: number === 2 ? printable(label) : '' }
}

function erofs(head: Buffer): Content | undefined {
  const found = decodeErofs(head)
  return found && { kind: 'erofs', ...found, label: printable(found.label) }
}

function ext4(head: Buffer): Content | undefined {
  const { magic, logBlockSize, blocksLow, blocksHigh, incompatible, label, uuid } = EXT4.decode(head, EXT4_AT)
  if (magic !== 0xef53 || logBlockSize > 6) return undefined
  const blocks = blocksLow + (incompatible & EXT4_64BIT ? blocksHigh * 2 ** 32 : 0)
  return { kind: 'ext4', bytes: blocks * KiB * 2 ** logBlockSize, label: printable(label), uuid }
}

function fat(head: Buffer): Content | undefined {
  const boot = FAT.decode(head)
  const { jump, sectorBytes, fats, signature, sectors16, sectors32 } = boot
  const sane = [512, 1024, 2048, 4096].includes(sectorBytes) && fats >= 1 && fats <= 2
  if ((jump !== 0xeb && jump !== 0xe9) || signature !== 0xaa55 || !sane) return undefined
  const label = boot.type32.startsWith('FAT32')
    ? boot.label32
    : boot.type16.startsWith('FAT')
      ? boot.label16
      : null
  if (label === null) return undefined
  return { kind: 'fat', bytes: (sectors16 || sectors32) * sectorBytes, label: printable(label.trimEnd()) }
}

function grub(head: Buffer): Content | undefined {
  const core = decodeCoreImage(head)
  // diskboot.img, a core image's first sector, says "loading".
  if (!core || !head.subarray(0, 512).includes('loading')) return undefined
  return { kind: 'grub', bytes: (core.sectors + 1) * 512, start: core.start }
}
