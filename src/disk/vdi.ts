/**
 * VDI, the disks of VirtualBox: the header, read before any tool opens the image.
 *
 * Spec: VirtualBox, src/VBox/Storage/VDICore.h (VDIPREHEADER, VDIHEADER1); what QEMU takes of it: block/vdi.c. Left out: the
 * block map's entries.
 */
import type { Bytes } from '../base/units.js'
import { gap, raw, struct, u32, u64 } from './bytes.js'
import { damagedImage, needsOtherFile } from './image-errors.js'
import type { ImageBytes } from './image-format.js'

const HEADER = struct('a VDI header', {
  text: gap(64), // szFileInfo
  signature: u32, // u32Signature
  version: u32, // u32Version
  headerBytes: gap(4), // cbHeader
  type: u32, // u32Type
  flags: gap(260), // fFlags, szComment
  mapOffset: u32, // offBlocks
  dataOffset: u32, // offData
  geometry: gap(12), // LegacyGeometry
  sectorBytes: u32, // LegacyGeometry.cbSector
  unused: gap(4), // u32Dummy
  size: u64, // cbDisk
  blockBytes: u32, // cbBlock
  extraBytes: gap(4), // cbBlockExtra
  blocks: u32, // cBlocks
  allocated: u32, // cBlocksAllocated
  uuids: gap(32), // uuidCreate, uuidModify
  link: raw(16), // uuidLinkage
  parent: raw(16), // uuidParentModify
})

const SIGNATURE = 0xbeda107f
const VERSION = 0x00010001
const TYPE = { dynamic: 1, fixed: 2, undo: 3, differencing: 4 } as const

/** Virtual size. Throws KeyvisorError `disk-damaged` and `image-needs-file`. */
export async function examineVdi(file: ImageBytes, name: string): Promise<Bytes> {
  const wrong = (what: string) => damagedImage(name, 'VDI', what)
  if (file.size < HEADER.bytes) throw wrong('it is shorter than its header')
  const header = HEADER.decode(await file.read(0, HEADER.bytes))
  const { version, type, mapOffset, dataOffset, size, blockBytes, blocks, allocated } = header
  if (header.signature !== SIGNATURE) throw wrong('its signature')
  if (version !== VERSION) throw wrong(`version ${version.toString(16)}`)
  if (type === TYPE.differencing || type === TYPE.undo || !isZero(header.link) || !isZero(header.parent))
    throw needsOtherFile(name, 'VDI', 'a differencing disk')
  if (type !== TYPE.dynamic && type !== TYPE.fixed) throw wrong(`type ${type}`)
  if (blockBytes < 512 || !Number.isInteger(Math.log2(blockBytes)))
    throw wrong(`blocks of ${blockBytes} bytes`)
  if (size === 0 || blocks * blockBytes < size) throw wrong('its block map is too small for its disk')
  if (mapOffset + blocks * 4 > file.size) throw wrong('its block map is behind its end')
  if (allocated > blocks || dataOffset + allocated * blockBytes > file.size) throw wrong('it is cut off')
  return size
}

function isZero(bytes: Buffer): boolean {
  return bytes.every((byte) => byte === 0)
}
