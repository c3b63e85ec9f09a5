/**
 * bmap 2.0: which blocks of an image must be written to a stick, and their digests. What lies between may stay as it
 * is on the stick. For bmaptool(1) and what works like it.
 *
 * Spec: the comments of bmap-tools' own files, and its `BmapCreate.py` (version 2.0 of the format). Left out: reading
 * files of other versions, and ranges without a digest.
 */
import { type Sha256, sha256 } from '../base/digests.js'
import { KeyvisorError } from '../base/errors.js'
import { type Bytes, KiB } from '../base/units.js'

/** The one that bmaptool itself uses: a page of memory. */
export const BMAP_BLOCK: Bytes = 4 * KiB

/** Blocks from `first` to `last`, both inclusive. */
export interface BlockRange {
  first: number
  last: number
}

export interface Bmap {
  imageSize: Bytes
  /** In ascending order; none touches another. */
  ranges: (BlockRange & { sha256: Sha256 })[]
}

/** The digest of the file itself is taken with zeros in its place. */
const NO_DIGEST = '0'.repeat(64)

/** Text of the bmap file. */
export function encodeBmap(bmap: Bmap): string {
  const text = document(bmap, NO_DIGEST)
  return document(bmap, sha256(text))
}

function document({ imageSize, ranges }: Bmap, digest: Sha256): string {
  const mapped = ranges.reduce((sum, { first, last }) => sum + last - first + 1, 0)
  return `<?xml version="1.0" ?>
<!-- Block map of a disk image: "bmaptool copy IMAGE DEVICE" writes only the blocks that are named here. -->
<bmap version="2.0">
  <ImageSize> ${imageSize} </ImageSize>
  <BlockSize> ${BMAP_BLOCK} </BlockSize>
  <BlocksCount> ${Math.ceil(imageSize / BMAP_BLOCK)} </BlocksCount>
  <MappedBlocksCount> ${mapped} </MappedBlocksCount>
  <ChecksumType> sha256 </ChecksumType>
  <BmapFileChecksum> ${digest} </BmapFileChecksum>
  <BlockMap>
${ranges.map(rangeLine).join('\n')}
  </BlockMap>
</bmap>
`
}

function rangeLine({ first, last, sha256 }: BlockRange & { sha256: Sha256 }): string {
  const blocks = first === last ? first : `${first}-${last}`
  return `    <Range chksum="${sha256}"> ${blocks} </Range>`
}

/** Reads what {@link encodeBmap} wrote. Throws `bmap-damaged` for anything else, another's bmap among it. */
export function decodeBmap(text: string): Bmap {
  const size = /<ImageSize> (\d+) <\/ImageSize>/.exec(text)?.[1]
  const lines = text.matchAll(/<Range chksum="([0-9a-f]{64})"> (\d+)(?:-(\d+))? <\/Range>/g)
  const ranges = [...lines].map(([, sha256, first, last]) => ({
    first: Number(first),
    last: Number(last ?? first),
    sha256: sha256 as Sha256,
  }))
  const bmap = { imageSize: Number(size), ranges }
  if (size === undefined || encodeBmap(bmap) !== text) {
    throw new KeyvisorError('bmap-damaged', 'the block map is not as Keyvisor writes one')
  }
  return bmap
}

/** Ranges of blocks that cover these extents of bytes (`end` exclusive), joined where they touch. */
export function blockRanges(extents: readonly { start: Bytes; end: Bytes }[]): BlockRange[] {
  const ranges: BlockRange[] = []
  for (const { start, end } of [...extents].sort((a, b) => a.start - b.start)) {
    const [first, last] = [Math.floor(start / BMAP_BLOCK), Math.ceil(end / BMAP_BLOCK) - 1]
    const before = ranges.at(-1)
    if (last < first) continue
    if (before && first <= before.last + 1) before.last = Math.max(before.last, last)
    else ranges.push({ first, last })
  }
  return ranges
}
