/** Files that are known again without being read. */
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { sha256 } from '../../src/base/digests.js'
import { Store } from '../../src/store/store.js'
import { fileStamp, imageDigest } from '../../src/store/unchanged.js'

t.test('an image is read once, and again after it was written to', async (t) => {
  const folder = t.testdir({ 'box.raw': 'bytes' })
  const path = join(folder, 'box.raw')
  const store = await Store.open(join(folder, 'store'))
  const found = await imageDigest(path, store)
  t.strictSame(found, { sha256: sha256('bytes'), size: 5 })
  const key = sha256(`digest of ${path}`)
  const record = await store.readRecord(key)
  await store.writeRecord(key, { stage: '', objects: {}, facts: { ...record?.facts, size: 6 } })
  t.strictSame(await imageDigest(path, store), { ...found, size: 6 }, 'what was remembered is the answer')
  writeFileSync(path, 'BYTES')
  t.strictSame(await imageDigest(path, store), { sha256: sha256('BYTES'), size: 5 })
  rmSync(path)
  await t.rejects(imageDigest(path, store), { code: 'ENOENT' })
  t.equal(await fileStamp(path), undefined)
})
