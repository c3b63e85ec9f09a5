import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import { systemTools } from '../../src/base/tool.js'
import { alignUp } from '../../src/base/units.js'
import {
  DIGEST_BYTES,
  decodeVerity,
  encodeVerity,
  leavesBytes,
  treeBytes,
  upperTree,
  VERITY_BLOCK,
  verityLeaves,
  verityTreeBytes,
} from '../../src/disk/verity.js'
import { below, holds } from '../support/property.js'
import { needTool } from '../support/tools.js'

const UUID = '0a1b2c3d-4e5f-8071-8293-a4b5c6d7e8f9'

/** Bytes of superblock and tree that veritysetup makes for so many blocks, and our decoding of it. */
async function format(folder: string, blocks: number, ...options: string[]) {
  const path = join(folder, 'blocks')
  const tree = join(folder, 'tree')
  writeFileSync(path, Buffer.alloc(blocks * 4096, blocks))
  writeFileSync(tree, '')
  const args = ['format', `--uuid=${UUID}`, ...options, path, tree]
  await systemTools.run({ tool: 'veritysetup', args })
  return { superblock: decodeVerity(readFileSync(tree)), size: statSync(tree).size }
}

t.test('superblocks of veritysetup, and the size of their trees', async (t) => {
  if (!needTool(t, 'veritysetup')) return
  const folder = t.testdir()
  // 128 digests of SHA-256 fill a block of 4 KiB: around the borders of one and two levels.
  for (const blocks of [1, 2, 127, 128, 129, 1000, 128 * 128, 128 * 128 + 1]) {
    const { superblock, size } = await format(folder, blocks, '--salt=00ff10')
    t.same(superblock, {
      uuid: UUID,
      algorithm: 'sha256',
      dataBlockBytes: 4096,
      hashBlockBytes: 4096,
      dataBlocks: blocks,
      salt: '00ff10',
    })
    if (superblock) t.equal(verityTreeBytes(superblock), size, `${blocks} blocks`)
  }
  const wide = await format(folder, 300, '--hash=sha512', '--salt=-')
  t.match(wide.superblock, { algorithm: 'sha512', salt: '' })
  if (wide.superblock) t.equal(verityTreeBytes(wide.superblock), wide.size)
})

t.test('what is no superblock', async (t) => {
  const bytes = Buffer.alloc(512)
  t.equal(decodeVerity(bytes), undefined)
  bytes.write('verity')
  bytes.writeUInt32LE(1, 8)
  bytes.writeUInt32LE(4096, 64)
  bytes.writeUInt32LE(4096, 68)
  bytes.writeUInt32LE(5, 72)
  t.match(decodeVerity(bytes), { dataBlocks: 5, algorithm: '' })
  t.equal(decodeVerity(bytes.subarray(0, 511)), undefined)
  const wrong: [number, number][] = [
    [8, 2],
    [12, 2],
    [64, 1000],
    [68, 0],
    [76, 0xffffffff],
    [80, 257],
  ]
  for (const [at, value] of wrong) {
    const changed = Buffer.from(bytes)
    changed.writeUInt32LE(value, at)
    t.equal(decodeVerity(changed), undefined, `${value} at ${at}`)
  }
  t.equal(verityTreeBytes({ ...superblock, algorithm: 'md4' }), undefined)
})

const superblock = {
  uuid: UUID,
  algorithm: 'sha256',
  dataBlockBytes: 4096,
  hashBlockBytes: 4096,
  dataBlocks: 1,
  salt: '',
}

// ------------------------------------------------------------------------------------ trees without a salt

/** Random but known bytes of so many blocks; each is another, the second but one is a hole. */
function blocksOf(blocks: number): Buffer {
  const bytes = Buffer.alloc(blocks * VERITY_BLOCK)
  for (let block = 0; block < blocks; block++) {
    if (block !== blocks - 2) bytes.fill(`block ${block} `, block * VERITY_BLOCK, (block + 1) * VERITY_BLOCK)
  }
  return bytes
}

/** What veritysetup makes of a file, and by what it knows it. */
async function veritysetup(folder: string, bytes: Buffer): Promise<{ tree: Buffer; rootHash: string }> {
  const [path, hashes] = [join(folder, 'bytes'), join(folder, 'hashes')]
  writeFileSync(path, bytes)
  writeFileSync(hashes, '')
  const args = ['format', '--salt=-', `--uuid=${UUID}`, path, hashes]
  const { stdout } = await systemTools.run({ tool: 'veritysetup', args })
  return { tree: readFileSync(hashes), rootHash: /Root hash:\s+(\w+)/.exec(stdout)?.[1] ?? '' }
}

function treeOf(bytes: Buffer, sizes: Iterable<number>): { tree: Buffer; rootHash: string } {
  const leaves = verityLeaves(bytes)
  const upper = upperTree()
  let at = 0
  for (const size of sizes) {
    upper.add(leaves.subarray(at, at + size))
    at += size
  }
  upper.add(leaves.subarray(at))
  const { rootHash, levels } = upper.finish()
  const padding = Buffer.alloc(alignUp(leaves.length, VERITY_BLOCK) - leaves.length)
  const superblock = encodeVerity(UUID, Math.ceil(bytes.length / VERITY_BLOCK))
  return { tree: Buffer.concat([superblock, levels, leaves, padding]), rootHash }
}

/** One size again and again. */
function* each(size: number, total: number): Generator<number> {
  for (let at = 0; at < total; at += size) yield size
}

t.test("a tree that is strung together is veritysetup's, byte for byte", async (t) => {
  if (!needTool(t, 'veritysetup')) return
  for (const blocks of [2, 3, 127, 128, 129, 1000, 128 * 128, 128 * 128 + 1]) {
    const folder = t.testdir()
    const bytes = blocksOf(blocks)
    const theirs = await veritysetup(folder, bytes)
    const leaves = leavesBytes(bytes.length)
    t.equal(leaves, blocks * 32)
    for (const piece of [32, 4096, 5000, 1 << 20]) {
      const { tree, rootHash } = treeOf(bytes, each(piece, leaves))
      t.equal(rootHash, theirs.rootHash, `${blocks} blocks in pieces of ${piece}`)
      t.ok(tree.equals(theirs.tree), 'and all of the tree')
      t.equal(tree.length, treeBytes(blocks, VERITY_BLOCK, DIGEST_BYTES.sha256))
    }
    const path = join(folder, 'whole')
    const { tree, rootHash } = treeOf(bytes, [])
    writeFileSync(path, Buffer.concat([bytes, tree]))
    const verify = (hash: string) =>
      systemTools.run({
        tool: 'veritysetup',
        args: ['verify', `--hash-offset=${bytes.length}`, path, path, hash],
      })
    await t.resolves(verify(rootHash))
    await t.rejects(verify(rootHash.replace(/^./, (digit) => (digit === '0' ? '1' : '0'))))
  }
})

t.test('the pieces that leaves come in are of no account', async (t) => {
  const bytes = blocksOf(300)
  const whole = treeOf(bytes, [])
  const isSame = (sizes: number[]) => {
    const { tree, rootHash } = treeOf(bytes, sizes)
    return rootHash === whole.rootHash && tree.equals(whole.tree)
  }
  const pieces = fc.array(fc.oneof(below(100), below(9000)), { maxLength: 20 })
  await holds(t, 100, fc.property(pieces, isSame))
})

t.test('leaves of files one behind the other are those of the whole', async (t) => {
  const bytes = blocksOf(40)
  const parts = [bytes.subarray(0, 4096), bytes.subarray(4096, 8192), bytes.subarray(8192)]
  t.ok(Buffer.concat(parts.map(verityLeaves)).equals(verityLeaves(bytes)))
  const odd = bytes.subarray(0, 5000)
  t.ok(verityLeaves(odd).equals(verityLeaves(Buffer.concat([odd], 8192))), 'a part of a block is filled up')
  t.equal(verityLeaves(Buffer.alloc(0)).length, 0)
  t.strictSame([0, 1, 4096, 4097].map(leavesBytes), [0, 32, 32, 64])
})

t.test('its superblock says what veritysetup would have said', async (t) => {
  const block = encodeVerity(UUID, 77)
  t.equal(block.length, VERITY_BLOCK)
  t.strictSame(decodeVerity(block), {
    uuid: UUID,
    algorithm: 'sha256',
    dataBlockBytes: 4096,
    hashBlockBytes: 4096,
    dataBlocks: 77,
    salt: '',
  })
})
