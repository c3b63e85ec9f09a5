/**
 * VMDK, the disks of VMware: the header of a sparse extent, and the descriptor in it, read before any tool opens the image.
 *
 * Spec: VMware, "Virtual Disk Format 5.0". What is taken is a disk in one file (monolithicSparse, streamOptimized), and one
 * whose description lies beside its extents, split or flat. Left out: the tables of grains.
 *
 * A descriptor names files, which a tool would then open with the builder's rights: any file of the host as an extent, or a
 * parent. QEMU takes the embedded one for the whole where the header's capacity is 0 (block/vmdk.c, vmdk_open_vmdk4).
 */
import type { KeyvisorError } from '../base/errors.js'
import { type Bytes, KiB, SECTOR } from '../base/units.js'
import { gap, latin1, printable, struct, u8, u16, u32, u64 } from './bytes.js'
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
export const MOST_DESCRIPTOR: Bytes = 64 * KiB
/** Changed to `0a 20 0d 0a` by who copies the file as text. */
const LINE_ENDS = '\n \r\n'
const DEFLATE = 1

type Wrong = (what: string) => KeyvisorError

/** Virtual size of a disk in one file. Throws KeyvisorError `disk-damaged` and `image-needs-file`. */
export async function examineVmdk(file: ImageBytes, name: string): Promise<Bytes> {
  const wrong: Wrong = (what) => damagedImage(name, 'VMDK', what)
  const { capacity, descriptorAt, descriptorSectors } = await readHeader(file, name, wrong)
  // An extent of a split disk has none: its description is another file.
  if (descriptorAt === 0) throw needsOtherFile(name, 'VMDK', 'one extent of several')
  const [at, bytes] = [descriptorAt * SECTOR, descriptorSectors * SECTOR]
  if (bytes === 0 || bytes > MOST_DESCRIPTOR || at + bytes > file.size) throw wrong('its description')
  const extents = readDescription((await file.read(at, bytes)).toString('latin1'), name, IN_ONE_FILE)
  const [extent, ...others] = extents
  if (!extent || others.length > 0) throw needsOtherFile(name, 'VMDK', `a disk of ${extents.length} extents`)
  if (extent.kind !== 'SPARSE') throw needsOtherFile(name, 'VMDK', 'a description of a flat disk')
  if (extent.sectors > capacity) throw wrong('its description is of a larger disk')
  return capacity * SECTOR
}

async function readHeader(file: ImageBytes, name: string, wrong: Wrong) {
  const header = HEADER.decode(await file.read(0, HEADER.bytes))
  const { magic, version, capacity, grain, perTable, lineEnds, compression } = header
  if (magic !== MAGIC) throw needsOtherFile(name, 'VMDK', 'an old extent, or none')
  if (version < 1 || version > MOST_VERSION) throw wrong(`version ${version}`)
  if (lineEnds !== LINE_ENDS) throw wrong('it was copied as text')
  if (capacity === 0) throw needsOtherFile(name, 'VMDK', 'a description that looks like a disk')
  if (grain < 1 || grain > 128 * 1024 || !Number.isInteger(Math.log2(grain)))
    throw wrong(`grains of ${grain} sectors`)
  if (perTable !== 512) throw wrong(`tables of ${perTable} grains`)
  if (compression > DEFLATE) throw wrong(`compression ${compression}`)
  if (!Number.isSafeInteger(capacity * SECTOR)) throw wrong(`a disk of ${capacity} sectors`)
  return header
}

// ------------------------------------------------------------------------------------ descriptions

/** How a file begins that describes a disk whose bytes are in others. */
export const DESCRIPTION = '# Disk DescriptorFile'

const IN_ONE_FILE = ['monolithicSparse', 'streamOptimized']
const IN_PARTS = ['monolithicFlat', 'twoGbMaxExtentSparse', 'twoGbMaxExtentFlat', 'vmfs']
/** `VMFS` is the flat extent of an ESX server. */
const KINDS = ['SPARSE', 'FLAT', 'VMFS', 'ZERO'] as const
/** 16 TiB in parts of 2 GiB come to four times as many; nobody has that. */
const MOST_EXTENTS = 2048

export interface VmdkExtent {
  kind: (typeof KINDS)[number]
  sectors: number
  /** Name of a file beside the description; null for one that is all zeros. */
  file: string | null
  /** Where it begins in that file, in sectors. */
  offset: number
}

/** The extents of a disk that a file describes: the files are beside it, and are not looked at. Throws as {@link examineVmdk}. */
export function vmdkExtents(text: string, name: string): VmdkExtent[] {
  const extents = readDescription(text, name, IN_PARTS)
  if (extents.length === 0 || extents.length > MOST_EXTENTS)
    throw damagedImage(name, 'VMDK', `a disk of ${extents.length} extents`)
  return extents
}

/** Virtual size of an extent, once its file has all of it. Throws as {@link examineVmdk}. */
export async function examineExtent(extent: VmdkExtent, file: ImageBytes, name: string): Promise<Bytes> {
  const wrong: Wrong = (what) => damagedImage(name, 'VMDK', what)
  if (extent.kind === 'SPARSE') {
    const { capacity } = await readHeader(file, name, wrong)
    if (capacity < extent.sectors) throw wrong('it is smaller than its description says')
  } else if ((extent.offset + extent.sectors) * SECTOR > file.size) throw wrong('it is cut off')
  return extent.sectors * SECTOR
}

function readDescription(whole: string, name: string, types: readonly string[]): VmdkExtent[] {
  const text = whole.replace(/\0.*$/s, '')
  const field = (key: string) =>
    new RegExp(`^\\s*${key}\\s*=\\s*"?([^"\\r\\n]*)"?`, 'im').exec(text)?.[1]?.trim()
  const parent = field('parentCID')
  const hasParent = /parentFileNameHint/i.test(text) || (parent !== undefined && !/^f{8}$/i.test(parent))
  if (hasParent) throw needsOtherFile(name, 'VMDK', 'a snapshot')
  const type = field('createType')
  if (!type || !types.includes(type))
    throw needsOtherFile(name, 'VMDK', `a disk of the type ${printable(type ?? 'none')}`)
  const lines = text.matchAll(
    /^[ \t]*(?:RW|RDONLY|NOACCESS)[ \t]+(\d+)[ \t]+(\w+)(?:[ \t]+"([^"\r\n]*)")?(?:[ \t]+(\d+))?/gim,
  )
  return [...lines].map(([, sectors, kind = '', file, offset]) => {
    const known = KINDS.find((one) => one === kind.toUpperCase())
    if (!known) throw needsOtherFile(name, 'VMDK', `a disk with an extent of the kind ${printable(kind)}`)
    return {
      kind: known,
      sectors: Number(sectors),
      file: known === 'ZERO' ? null : plainName(file, name),
      offset: Number(offset ?? 0),
    }
  })
}

/** A file beside the description, and nothing else of the host: QEMU takes what has a colon for a protocol. */
function plainName(file: string | undefined, name: string): string {
  if (file && !/[/\\:\0]/.test(file) && file !== '.' && file !== '..') return file
  throw needsOtherFile(name, 'VMDK', `a description that names ${printable(file || 'nothing')}`)
}
