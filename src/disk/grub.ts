/**
 * GRUB's BIOS boot blocks, patched as grub-install does: boot.img into LBA 0, and the block list of the core image.
 * GRUB 2.12, `include/grub/i386/pc/boot.h`, `grub-core/boot/i386/pc/{boot,diskboot}.S`, `util/setup.c`.
 *
 * Left out: making the core image (grub-mkimage), Reed-Solomon codes, block lists of more than one extent.
 */
import { KeyvisorError } from '../base/errors.js'
import { type Lba, SECTOR } from '../base/units.js'
import { asBuffer, gap, struct, truncated, u16, u64 } from './bytes.js'
import { BOOT_CODE_BYTES } from './mbr.js'

/** GRUB_BOOT_MACHINE_KERNEL_SECTOR: where boot.img keeps the LBA of the core image. */
const KERNEL_SECTOR_AT = 0x5c
/** GRUB_BOOT_MACHINE_DRIVE_CHECK: a jump over the check of the drive number that the BIOS gave. */
const DRIVE_CHECK_AT = 0x66
const NOP = 0x90

const BLOCKLIST = struct('a GRUB block list', {
  start: u64, // start
  sectors: u16, // len
  segment: u16, // segment
})
/** GRUB_BOOT_MACHINE_LIST_SIZE before the end of the first sector (diskboot.img). */
const BLOCKLIST_AT = SECTOR - BLOCKLIST.bytes
/** GRUB_BOOT_MACHINE_KERNEL_SEG (0x800) and the sector that diskboot.img itself fills, in paragraphs. */
const SEGMENT = 0x820

const BOOT_CODE = struct('GRUB boot code', {
  code: gap(KERNEL_SECTOR_AT),
  kernelSector: u64,
  bootDrive: gap(DRIVE_CHECK_AT - KERNEL_SECTOR_AT - 8),
  driveCheck: u16,
})

/** The 440 bytes of boot code for LBA 0, from GRUB's boot.img, for a core image at `core`. */
export function patchBootImage(bootImage: Uint8Array, core: Lba): Buffer {
  if (bootImage.length !== SECTOR) throw notGrub('boot.img', `has ${bootImage.length} bytes, not ${SECTOR}`)
  const code = Buffer.from(bootImage.subarray(0, BOOT_CODE_BYTES))
  code.writeBigUInt64LE(BigInt(core), KERNEL_SECTOR_AT)
  // Some BIOSes pass a floppy's number for a hard disk, as which a stick is started: without the jump, boot.img
  // sees that and takes 0x80 instead (setup.c does the same for hard disks).
  code.fill(NOP, DRIVE_CHECK_AT, DRIVE_CHECK_AT + 2)
  return code
}

/** The core image as it stands at `core`: whole sectors, with the block list of all sectors after the first. */
export function patchCoreImage(coreImage: Uint8Array, core: Lba): Buffer {
  if (coreImage.length <= SECTOR) throw notGrub('core image', `has ${coreImage.length} bytes`)
  const sectors = Math.ceil(coreImage.length / SECTOR)
  if (sectors - 1 > 0xffff) throw notGrub('core image', `has ${sectors} sectors`)
  const patched = Buffer.alloc(sectors * SECTOR)
  patched.set(coreImage)
  patched.set(BLOCKLIST.encode({ start: core + 1, sectors: sectors - 1, segment: SEGMENT }), BLOCKLIST_AT)
  return patched
}

/** Where GRUB's boot code in an MBR looks for its core image; undefined when the code is not ours. */
export function bootCodeTarget(bootCode: Uint8Array): Lba | undefined {
  const { kernelSector, driveCheck } = BOOT_CODE.decode(bootCode)
  const ours = asBuffer(bootCode).includes('GRUB ') && driveCheck === NOP * 0x101
  return ours ? kernelSector : undefined
}

/** What a core image's block list says; undefined when these bytes are not the start of a core image. */
export function decodeCoreImage(head: Uint8Array): { start: Lba; sectors: number } | undefined {
  if (head.length < SECTOR) throw truncated('a GRUB core image', SECTOR, head.length)
  const { start, sectors, segment } = BLOCKLIST.decode(head, BLOCKLIST_AT)
  return segment === SEGMENT && sectors > 0 ? { start, sectors } : undefined
}

function notGrub(what: string, why: string): KeyvisorError {
  return new KeyvisorError('not-grub', `this ${what} of GRUB ${why}`)
}
