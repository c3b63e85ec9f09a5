/**
 * Image formats: what a file is that somebody calls a disk image, told from its first and last bytes.
 *
 * One table, of what people have in hand when they write `raw` or `qcow2`. Left out: whether a file is a sound one of
 * its kind; and file systems without a partition table, which some firmware starts.
 */
import { type Bytes, KiB } from '../base/units.js'

/** A file's bytes. */
export interface ImageBytes {
  size: Bytes
  /** Fewer than `length` only where the file ends. */
  read(offset: Bytes, length: Bytes): Promise<Buffer>
}

/** What a profile calls the form of a file. */
export type ImageFormatName = 'qcow2' | 'raw' | 'vmdk' | 'vhdx' | 'vhd' | 'vdi' | 'iso'

/** What a file is, and how a qcow2 is made of it. */
export interface ImageFormat {
  /** With its article: `a VMware disk (VMDK)`. */
  name: string
  hint: string
  /** What a profile calls it, where that is one of its formats. */
  format?: Exclude<ImageFormatName, 'raw'>
}

interface Magic extends ImageFormat {
  /** From the start of the file, or below 0 from its end. */
  at: Bytes
  /** One byte a character. */
  magic: string
  /** Where the bytes alone are not enough. */
  confirm?: (head: Buffer, size: Bytes) => boolean
}

/** ECMA-119, section 8.1; ECMA-167, section 2/8.3: descriptors of volumes begin in sector 16, of 2048 bytes. */
const VOLUME: Bytes = 16 * 2048

/** Reaches behind the volume descriptor of a disc. */
const HEAD: Bytes = 40 * KiB
const TAIL: Bytes = 512

const convert = (driver: string) => `convert it: qemu-img convert -f ${driver} -O qcow2 IMAGE DISK.qcow2`
const unpack = (command: string) => `unpack it first: ${command}`

const QCOW2: ImageFormat = { name: 'a qcow2 image', hint: 'write format: qcow2', format: 'qcow2' }
const write = (format: NonNullable<ImageFormat['format']>) => ({ hint: `write format: ${format}`, format })
const VMDK = { name: 'a VMware disk (VMDK)' }
const VHD = { name: 'a disk of Virtual PC or Hyper-V (VHD)', ...write('vhd') }
const PARALLELS = { name: 'a Parallels disk', hint: convert('parallels') }
const OVA = {
  name: 'a tar archive, as an appliance (OVA) is',
  hint: 'unpack it (tar -xf IMAGE), then convert its disk: qemu-img convert -f vmdk -O qcow2 DISK.vmdk DISK.qcow2',
}
const DISC: ImageFormat = {
  name: 'a disc (ISO 9660), as installers are',
  hint: 'name it as iso: in disks, which gives the guest a CD; a disk to start from is that of a virtual machine into which it was installed',
  format: 'iso',
}
const LUKS = {
  name: 'encrypted as a whole (LUKS), and nothing could start from it',
  hint: 'give a disk with a boot loader, or decrypt it: qemu-img convert can, given its secret',
}

/** Magics as QEMU's block drivers probe for them, where nothing else is said; the first that fits counts. */
const MAGICS: Magic[] = [
  { at: 0, magic: 'QFI\xfb\0\0\0\x01', name: 'a qcow image of version 1', hint: convert('qcow') },
  { at: 0, magic: 'QFI\xfb', ...QCOW2 },
  { at: 0, magic: 'KDMV', ...VMDK, ...write('vmdk') },
  { at: 0, magic: 'COWD', ...VMDK, hint: convert('vmdk') },
  {
    at: 0,
    magic: '# Disk DescriptorFile',
    name: 'the description of a VMware disk, whose bytes are in other files',
    ...write('vmdk'),
  },
  { at: 0, magic: 'vhdxfile', name: 'a Hyper-V disk (VHDX)', ...write('vhdx') },
  // A fixed one is the raw disk, and this behind it; Virtual PC before 2004 wrote 511 bytes.
  { at: 0, magic: 'conectix', ...VHD },
  { at: -512, magic: 'conectix', ...VHD },
  { at: -511, magic: 'conectix', name: VHD.name, hint: convert('vpc') },
  { at: 64, magic: '\x7f\x10\xda\xbe', name: 'a VirtualBox disk (VDI)', ...write('vdi') },
  { at: 0, magic: 'WithoutFreeSpace', ...PARALLELS },
  { at: 0, magic: 'WithouFreSpacExt', ...PARALLELS },
  { at: 0, magic: 'QED\0', name: 'a QED image', hint: convert('qed') },
  { at: -512, magic: 'koly', name: 'an Apple disk image (DMG)', hint: convert('dmg') },
  { at: 0, magic: 'Bochs Virtual HD Image', name: 'a Bochs disk', hint: convert('bochs') },
  { at: 0, magic: '#!/bin/sh\n#V2.0 Format\nmodprobe cloop', name: 'a cloop image', hint: convert('cloop') },
  { at: 0, magic: 'LUKS\xba\xbe', ...LUKS },
  // POSIX.1-2017, pax, "ustar Interchange Format".
  { at: 257, magic: 'ustar', ...OVA },
  { at: VOLUME + 1, magic: 'CD001', ...DISC, confirm: fillsFile },
  { at: VOLUME + 1, magic: 'BEA01', ...DISC, name: 'a disc (UDF)', confirm: isBareUdf },
  // RFC 1952, RFC 8878, and the formats' own descriptions.
  { at: 0, magic: '\x1f\x8b\x08', name: 'packed with gzip', hint: unpack('gunzip IMAGE') },
  { at: 0, magic: '\xfd7zXZ\0', name: 'packed with xz', hint: unpack('unxz IMAGE') },
  { at: 0, magic: '\x28\xb5\x2f\xfd', name: 'packed with zstd', hint: unpack('unzstd IMAGE') },
  { at: 4, magic: '1AY&SY', name: 'packed with bzip2', hint: unpack('bunzip2 IMAGE') },
  { at: 0, magic: '\x04\x22\x4d\x18', name: 'packed with lz4', hint: unpack('unlz4 IMAGE') },
  { at: 0, magic: 'PK\x03\x04', name: 'a zip archive', hint: unpack('unzip IMAGE') },
  { at: 0, magic: '7z\xbc\xaf\x27\x1c', name: 'a 7z archive', hint: unpack('7z x IMAGE') },
]

/**
 * An installer's disc, not a disk that began as one: who writes an ISO to a stick, and later installs a system there,
 * keeps sector 16. The volume's blocks are counted at byte 80 of its descriptor, their size is at byte 128.
 */
function fillsFile(head: Buffer, size: Bytes): boolean {
  return volumeBytes(head) >= size / 2
}

function volumeBytes(head: Buffer): Bytes {
  const descriptor = head.subarray(VOLUME)
  if (descriptor.length < 130) return 0
  return descriptor.readUInt32LE(80) * descriptor.readUInt16LE(128)
}

/** Without the boot signature of a disk, which may have begun as a disc. */
function isBareUdf(head: Buffer): boolean {
  return isUdf(head) && head.readUInt16LE(510) !== 0xaa55
}

/** ECMA-167, sections 2/9.2 and 3/9.1: the extended area begins, and has a volume of a version that UDF is in. */
function isUdf(head: Buffer): boolean {
  const words = [VOLUME, VOLUME + 2048].map((at) => head.toString('latin1', at + 1, at + 6))
  return words[0] === 'BEA01' && /^NSR0[23]$/.test(words[1] as string)
}

/**
 * What the volume of a disc takes of its file: undefined where the file is none, 0 where that is not said in sector 16. A
 * disc for Windows has both, and its ISO 9660 may hold a text alone.
 */
export async function discBytes(file: ImageBytes): Promise<Bytes | undefined> {
  const head = await file.read(0, HEAD)
  if (isUdf(head)) return 0
  return head.toString('latin1', VOLUME + 1, VOLUME + 6) === 'CD001' ? volumeBytes(head) : undefined
}

/** Tells what a file is; undefined where nothing is known of it, as of a raw disk. */
export async function identifyImage(file: ImageBytes): Promise<ImageFormat | undefined> {
  const head = await file.read(0, HEAD)
  const tail = await file.read(Math.max(0, file.size - TAIL), TAIL)
  return MAGICS.find(({ at, magic, confirm }) => {
    const [bytes, from] = at < 0 ? [tail, tail.length + at] : [head, at]
    const stands = from >= 0 && bytes.toString('latin1', from, from + magic.length) === magic
    return stands && (confirm?.(head, file.size) ?? true)
  })
}
