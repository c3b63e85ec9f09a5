/**
 * VMDK, the disks of VMware: the header of a sparse extent, and the descriptor in it, read before any tool opens the image.
 *
 * Spec: VMware, "Virtual Disk Format 5.0". What is taken is one file that has all of its disk (monolithicSparse,
 * streamOptimized). Left out: descriptors beside their extents, and the tables of grains.
 *
 * A descriptor names files, which a tool would then open with the builder's rights: any file of the host as an extent, or a
 * parent. QEMU takes the embedded one for the whole where the header's capacity is 0 (block/vmdk.c, vmdk_open_vmdk4).
 */
import type { KeyvisorError } from '../base/errors.js'
import { type Bytes, KiB, SECTOR } from '../base/units.js'
import { gap, latin1, struct, u8, u16, u32, u64 } from './bytes.js'
import { damagedImage, needsOtherFile } from './image-errors.js'
import type { ImageBytes } from './image-format.js'

const HEADER = struct('a VMDK header', {
  magic: latin1(4), // magicNumber
  version: u32, // version
  flags: u32, // flags
  capacity: u64, // capacity
  grain: u64, // grainSize
  descriptorAt: u64, // descriptorOffset
  descriptorSectors: u64, // descriptorSize
  perTable: u32, // numGTEsPerGT
  redundantAt: u64, // rgdOffset
  directoryAt: gap(8), // gdOffset, which is -1 where a footer has it
  overhead: u64, // overHead
  unclean: u8, // uncleanShutdown
  lineEnds: latin1(4), // singleEndLineChar ... doubleEndLineChar2
  compression: u16, // compressAlgorithm
  rest: gap(433), // pad
})

const MAGIC = 'KDMV'
/** 3: with changed block tracking, of which an exported disk has nothing. */
const MOST_VERSION = 3
/** What `vmkfstools` writes has 20 sectors. */
const MOST_DESCRIPTOR: Bytes = 64 * KiB
/** Changed to `0a 20 0d 0a` by who copies the file as text. */
const LINE_ENDS = '\n \r\n'
const DEFLATE = 1

const TYPES = ['monolithicSparse', 'streamOptimized']

/** Virtual size. Throws KeyvisorError `disk-damaged` and `image-needs-file`. */
export async function examineVmdk(file: ImageBytes, name: string): Promise<Bytes> {
  const wrong = (what: string) => damagedImage(name, 'VMDK', what)
  const header = HEADER.decode(await file.read(0, HEADER.bytes))
  const { magic, version, capacity, grain, perTable, lineEnds, compression } = header
  if (magic !== MAGIC) throw needsOtherFile(name, 'VMDK', 'the description of a disk, or an old extent')
  if (version < 1 || version > MOST_VERSION) throw wrong(`version ${version}`)
  if (lineEnds !== LINE_ENDS) throw wrong('it was copied as text')
  if (capacity === 0) throw needsOtherFile(name, 'VMDK', 'a description that looks like a disk')
  if (grain < 1 || grain > 128 * 1024 || !Number.isInteger(Math.log2(grain)))
    throw wrong(`grains of ${grain} sectors`)
  if (perTable !== 512) throw wrong(`tables of ${perTable} grains`)
  if (compression > DEFLATE) throw wrong(`compression ${compression}`)
  if (!Number.isSafeInteger(capacity * SECTOR)) throw wrong(`a disk of ${capacity} sectors`)
  await checkDescriptor(file, header, name, wrong)
  return capacity * SECTOR
}

async function checkDescriptor(
  file: ImageBytes,
  {
    descriptorAt,
    descriptorSectors,
    capacity,
  }: { descriptorAt: number; descriptorSectors: number; capacity: number },
  name: string,
  wrong: (what: string) => KeyvisorError,
): Promise<void> {
  // An extent of a split disk has none: its description is another file.
  if (descriptorAt === 0) throw needsOtherFile(name, 'VMDK', 'one extent of several')
  const [at, bytes] = [descriptorAt * SECTOR, descriptorSectors * SECTOR]
  if (bytes === 0 || bytes > MOST_DESCRIPTOR || at + bytes > file.size) throw wrong('its description')
  const text = (await file.read(at, bytes)).toString('latin1').replace(/\0.*$/s, '')
  const field = (key: string) =>
    new RegExp(`^\\s*${key}\\s*=\\s*"?([^"\\r\\n]*)"?`, 'im').exec(text)?.[1]?.trim()
  if (/parentFileNameHint/i.test(text)) throw needsOtherFile(name, 'VMDK', 'a snapshot')
  const parent = field('parentCID')
  if (parent !== undefined && !/^f{8}$/i.test(parent)) throw needsOtherFile(name, 'VMDK', 'a snapshot')
  const type = field('createType')
  if (!type || !TYPES.includes(type))
    throw needsOtherFile(name, 'VMDK', `a disk of the type ${type ?? 'none'}`)
  const extents = [...text.matchAll(/^[ \t]*(?:RW|RDONLY|NOACCESS)[ \t]+(\d+)[ \t]+(\w+)/gim)]
  const [extent, ...others] = extents
  if (!extent || others.length > 0) throw needsOtherFile(name, 'VMDK', `a disk of ${extents.length} extents`)
  if (extent[2]?.toUpperCase() !== 'SPARSE')
    throw needsOtherFile(name, 'VMDK', 'a description of a flat disk')
  if (Number(extent[1]) > capacity) throw wrong('its description is of a larger disk')
}
