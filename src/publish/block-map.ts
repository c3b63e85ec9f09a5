/**
 * The image's block map: what of it must be written to a stick.
 *
 * It comes from the layout, not from the holes of the file: zeros inside a payload are holes too, and what lay there on
 * the stick before would break its hash tree.
 */
import { createHash, type Hash } from 'node:crypto'
import type { Sha256 } from '../base/digests.js'
import { type Bytes, SECTOR } from '../base/units.js'
import { type BlockRange, BMAP_BLOCK, blockRanges } from '../disk/bmap.js'
import { BACKUP_SECTORS } from '../disk/gpt.js'
import { IDENTIFY_BYTES } from '../disk/identify.js'
import type { Layout } from '../stick/layout.js'
import type { Reader } from './read-once.js'

/** Both partition tables, every payload as a whole, and of an empty partition its head: nothing old is found there. */
export function writtenRanges({ partitions, sectors }: Layout): BlockRange[] {
  const size = sectors * SECTOR
  const first = partitions[0]?.first ?? sectors
  return blockRanges([
    { start: 0, end: first * SECTOR },
    ...partitions.map(({ first, used }) => {
      const start = first * SECTOR
      return { start, end: start + Math.max(used, IDENTIFY_BYTES) }
    }),
    { start: size - BACKUP_SECTORS * SECTOR, end: size },
  ])
}

/** A reader that takes the digest of each range. The last block of an image may be a part of one. */
export function digestingRanges(
  ranges: readonly BlockRange[],
): Reader & { ranges: () => (BlockRange & { sha256: Sha256 })[] } {
  const done: (BlockRange & { sha256: Sha256 })[] = []
  let hash: Hash = createHash('sha256')
  let at: Bytes = 0
  const finish = () => {
    const range = ranges[done.length] as BlockRange
    done.push({ ...range, sha256: hash.digest('hex') })
    hash = createHash('sha256')
  }
  return {
    take(chunk) {
      const end = at + chunk.length
      for (
        let range = ranges[done.length];
        range && range.first * BMAP_BLOCK < end;
        range = ranges[done.length]
      ) {
        const rangeEnd = (range.last + 1) * BMAP_BLOCK
        hash.update(chunk.subarray(Math.max(range.first * BMAP_BLOCK - at, 0), rangeEnd - at))
        if (rangeEnd > end) break
        finish()
      }
      at = end
    },
    end() {
      if (done.length < ranges.length) finish()
    },
    ranges: () => done,
  }
}
