/**
 * Hash trees, as veritysetup(8) itself makes them where nobody made room for them.
 */
import { readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { systemTools } from '../../src/base/tool.js'
import { appendHashTree } from '../../src/disk/hash-tree.js'
import { needTools } from '../support/tools.js'

const BLOCK = 4096

t.test('a tree of no, one, two and three levels', async (t) => {
  if (!needTools(t, 'veritysetup')) return
  const folder = t.testdir()
  for (const blocks of [1, 2, 128, 129, 128 * 128, 128 * 128 + 1]) {
    const [image, hashes] = [join(folder, `${blocks}.img`), join(folder, `${blocks}.hashes`)]
    writeFileSync(image, `${blocks} blocks`)
    truncateSync(image, blocks * BLOCK)
    const { rootHash, offset } = await appendHashTree(image, systemTools)
    t.equal(offset, blocks * BLOCK)
    const verify = ['verify', image, image, rootHash, `--hash-offset=${offset}`]
    await t.resolves(systemTools.run({ tool: 'veritysetup', args: verify }), `${blocks} blocks`)
    const tree = readFileSync(image).subarray(offset)
    const [salt, uuid] = [tree.subarray(88, 120).toString('hex'), tree.subarray(16, 32).toString('hex')]
    const dashed = uuid.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')
    const format = ['format', image, hashes, `--salt=${salt}`, `--uuid=${dashed}`, `--data-blocks=${blocks}`]
    await systemTools.run({ tool: 'veritysetup', args: format })
    t.equal(statSync(hashes).size, tree.length, `of ${blocks} blocks: its length`)
    t.ok(readFileSync(hashes).equals(tree), 'and its bytes')
  }
})
