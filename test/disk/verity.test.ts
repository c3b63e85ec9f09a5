import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { systemTools } from '../../src/base/tool.js'
import { decodeVerity, verityTreeBytes } from '../../src/disk/verity.js'
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
