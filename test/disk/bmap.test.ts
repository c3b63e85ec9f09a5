import fc from 'fast-check'
import t from 'tap'
import { sha256 } from '../../src/base/digests.js'
import type { KeyvisorError } from '../../src/base/errors.js'
import { KiB } from '../../src/base/units.js'
import { BMAP_BLOCK, type Bmap, blockRanges, decodeBmap, encodeBmap } from '../../src/disk/bmap.js'
import { below, holds } from '../support/property.js'

const bmap: Bmap = {
  imageSize: 10 * BMAP_BLOCK - 512,
  ranges: [
    { first: 0, last: 2, sha256: sha256('a') },
    { first: 9, last: 9, sha256: sha256('b') },
  ],
}

t.test('what was encoded is decoded', async (t) => {
  t.strictSame(decodeBmap(encodeBmap(bmap)), bmap)
  t.strictSame(decodeBmap(encodeBmap({ imageSize: 0, ranges: [] })), { imageSize: 0, ranges: [] })
})

t.test('the numbers that bmaptool checks', async (t) => {
  const text = encodeBmap(bmap)
  for (const line of [
    '<bmap version="2.0">',
    '<ImageSize> 40448 </ImageSize>',
    '<BlockSize> 4096 </BlockSize>',
    '<BlocksCount> 10 </BlocksCount>',
    '<MappedBlocksCount> 4 </MappedBlocksCount>',
    '> 0-2 </Range>',
    '> 9 </Range>',
  ])
    t.ok(text.includes(line), line)
  const digest = /<BmapFileChecksum> (\w+) </.exec(text)?.[1] ?? ''
  t.equal(
    sha256(text.replace(digest, '0'.repeat(64))),
    digest,
    'its own digest is of itself with zeros there',
  )
})

t.test('a changed or cut one is refused', async (t) => {
  const text = encodeBmap(bmap)
  const refused = (damaged: string) => {
    try {
      return !decodeBmap(damaged)
    } catch (error) {
      return (error as KeyvisorError).code === 'bmap-damaged'
    }
  }
  const flippedOrCut = (at: number, bit: number) => {
    const other = String.fromCharCode(text.charCodeAt(at) ^ (1 << bit))
    return refused(text.slice(0, at) + other + text.slice(at + 1)) && refused(text.slice(0, at))
  }
  await holds(t, 200, fc.property(below(text.length), below(7), flippedOrCut))
})

t.test('extents become ranges of whole blocks', async (t) => {
  const ranges = (...extents: [number, number][]) =>
    blockRanges(extents.map(([start, end]) => ({ start, end })))
  t.strictSame(ranges([0, 1]), [{ first: 0, last: 0 }])
  t.strictSame(ranges([0, 4 * KiB]), [{ first: 0, last: 0 }])
  t.strictSame(ranges([4 * KiB - 1, 4 * KiB + 1]), [{ first: 0, last: 1 }], 'a part of a block is the block')
  t.strictSame(ranges([40 * KiB, 44 * KiB], [0, 8 * KiB], [8 * KiB, 12 * KiB]), [
    { first: 0, last: 2 },
    { first: 10, last: 10 },
  ])
  t.strictSame(ranges([0, 12 * KiB], [4 * KiB, 8 * KiB]), [{ first: 0, last: 2 }], 'one in another')
  t.strictSame(ranges([5, 5]), [{ first: 0, last: 0 }])
  t.strictSame(ranges([8 * KiB, 8 * KiB]), [], 'nothing')
})
