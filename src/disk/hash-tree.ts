/**
 * dm-verity hash trees, made by veritysetup(8) behind the bytes that they cover.
 */

import { appendFile, truncate } from 'node:fs/promises'
import { derivedUuid, sha256, sha256File } from '../base/digests.js'
import type { ToolRunner } from '../base/tool.js'
import { alignUp, type Bytes, MiB } from '../base/units.js'
import { DIGEST_BYTES, treeBytes } from './verity.js'

/** Data and hash blocks; the page size of every PC. */
const BLOCK: Bytes = 4096

export interface HashTree {
  rootHash: string
  /** Where the tree's superblock begins. */
  offset: Bytes
}

/**
 * Pads `image` to whole blocks and appends its hash tree; the tools must see it. Salt and UUID derive from the bytes that are covered, so
 * that equal payloads stay equal; a salt defends against precomputed collisions, and needs no secrecy
 * (kernel: Documentation/admin-guide/device-mapper/verity.rst).
 */
export async function appendHashTree(image: string, tools: ToolRunner): Promise<HashTree> {
  const { sha256: digest, size } = await sha256File(image)
  const offset = alignUp(size, BLOCK)
  await truncate(image, offset)
  await appendZeros(image, treeBytes(offset / BLOCK, BLOCK, DIGEST_BYTES.sha256))
  const { stdout } = await tools.run({
    tool: 'veritysetup',
    args: [
      'format',
      image,
      image,
      `--hash-offset=${offset}`,
      `--data-blocks=${offset / BLOCK}`,
      `--data-block-size=${BLOCK}`,
      `--hash-block-size=${BLOCK}`,
      `--salt=${sha256(`keyvisor verity salt ${digest}`)}`,
      `--uuid=${derivedUuid('verity', digest)}`,
    ],
  })
  const rootHash = /^Root hash:\s+([0-9a-f]{64})$/m.exec(stdout)?.[1]
  if (!rootHash) throw new Error(`BUG: veritysetup gave no root hash: ${stdout}`)
  return { rootHash, offset }
}

/** veritysetup calls a full disk an input/output error; to find it out first tells the two apart. */
async function appendZeros(path: string, bytes: Bytes): Promise<void> {
  for (let left = bytes; left > 0; left -= MiB) await appendFile(path, Buffer.alloc(Math.min(left, MiB)))
}
