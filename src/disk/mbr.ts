/**
 * The protective MBR: LBA 0 of a GPT disk. UEFI 2.10, sections 5.2.1 and 5.2.3.
 *
 * It has room for 440 bytes of boot code, which a BIOS runs and UEFI ignores. Left out: MBR partitions other than
 * the protective one (decoded as they are, never written), extended partitions.
 *
 * Some BIOSes start no disk without an active record, but an active protective record hides the GPT from some UEFI
 * firmware (edk2 before 2021). So boot code comes with a second record, which is active and empty, as in the images of
 * Arch and Ubuntu (`xorriso --mbr-force-bootable`). Its type 0x00 says "unused": whoever reads the table skips it.
 */
import { KeyvisorError } from '../base/errors.js'
import { type Lba, SECTOR } from '../base/units.js'
import { gap, raw, struct, u8, u16, u32 } from './bytes.js'

/** Bytes of boot code before the disk signature. */
export const BOOT_CODE_BYTES = 440

/** OSType of the protective partition, "GPT Protective". */
const PROTECTIVE = 0xee

const ACTIVE = 0x80

const RECORD = struct('an MBR partition record', {
  bootIndicator: u8, // BootIndicator
  startingChs: raw(3), // StartingCHS
  osType: u8, // OSType
  endingChs: raw(3), // EndingCHS
  first: u32, // StartingLBA
  sectors: u32, // SizeInLBA
})

const MBR = struct('an MBR', {
  bootCode: raw(BOOT_CODE_BYTES), // BootCode
  diskSignature: u32, // UniqueMBRDiskSignature
  unknown: gap(2), // Unknown
  records: raw(4 * RECORD.bytes), // PartitionRecord
  signature: u16, // Signature
})

const SIGNATURE = 0xaa55

interface MbrRecord {
  active: boolean
  osType: number
  first: Lba
  sectors: number
}

export interface Mbr {
  bootCode: Buffer
  diskSignature: number
  /** The records in use. */
  records: MbrRecord[]
  /** One protective record and no other, as a GPT disk has. */
  protective: boolean
  /** Any of the four records is active, also one that is not in use. */
  active: boolean
}

/** The first sector by CHS and by LBA: byte for byte what xorriso 1.5.4 writes. */
const ACTIVE_RECORD = RECORD.encode({
  bootIndicator: ACTIVE,
  startingChs: Buffer.from([0x00, 0x01, 0x00]),
  osType: 0x00,
  endingChs: Buffer.from([0x00, 0x01, 0x00]),
  first: 0,
  sectors: 1,
})

/**
 * The 512 bytes of LBA 0 for a disk of `sectors` sectors; only with boot code is a record active. The signature is 0
 * unless told, as the UEFI text has it.
 */
export function encodeProtectiveMbr(sectors: number, bootCode?: Uint8Array, diskSignature = 0): Buffer {
  const protective = RECORD.encode({
    bootIndicator: 0,
    startingChs: Buffer.from([0x00, 0x02, 0x00]), // LBA 1
    osType: PROTECTIVE,
    endingChs: Buffer.from([0xff, 0xff, 0xff]), // more than CHS can tell
    first: 1,
    sectors: Math.min(sectors - 1, 0xffffffff),
  })
  return MBR.encode({
    bootCode: Buffer.from(bootCode ?? []),
    diskSignature,
    records: bootCode ? Buffer.concat([protective, ACTIVE_RECORD]) : protective,
    signature: SIGNATURE,
  })
}

/** Throws KeyvisorError `truncated`, or `no-mbr` when the signature is missing. */
export function decodeMbr(sector: Uint8Array): Mbr {
  const { bootCode, diskSignature, records: bytes, signature } = MBR.decode(sector)
  if (signature !== SIGNATURE) {
    throw new KeyvisorError('no-mbr', `LBA 0 has no MBR: it ends in 0x${signature.toString(16)}, not 0xaa55`)
  }
  const all = [0, 1, 2, 3]
    .map((index) => RECORD.decode(bytes, index * RECORD.bytes))
    .map(({ bootIndicator, osType, first, sectors }) => ({
      active: bootIndicator === ACTIVE,
      osType,
      first,
      sectors,
    }))
  const records = all.filter(({ osType }) => osType !== 0)
  const protective = records.length === 1 && records[0]?.osType === PROTECTIVE && records[0].first === 1
  return { bootCode, diskSignature, records, protective, active: all.some(({ active }) => active) }
}

/** A copy of LBA 0 without its protective record, which follows from the disk's size: the rest is the same on every disk. */
export function withoutProtective(sector: Uint8Array): Buffer {
  const first = BOOT_CODE_BYTES + 4 + 2 // UniqueMBRDiskSignature, Unknown
  return Buffer.from(sector).fill(0, first, first + RECORD.bytes)
}

if (MBR.bytes !== SECTOR) throw new Error(`BUG: an MBR of ${MBR.bytes} bytes`)
