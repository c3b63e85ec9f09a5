import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { sha256 } from '../../src/base/digests.js'
import { sealTree } from '../../src/store/seal.js'
import { Store } from '../../src/store/store.js'
import { verifyStore } from '../../src/store/verify.js'
import { needTools } from '../support/tools.js'

/** A store with a stage of two objects, a package and a tools tree. */
async function sound(t: { testdir(): string }): Promise<Store> {
  const store = await Store.open(join(t.testdir(), 'store'))
  const objects: Record<string, { sha256: string; size: number }> = {}
  for (const text of ['kernel', 'root', 'package']) {
    const file = await store.scratchPath('test')
    writeFileSync(file, text)
    const { sha256, size } = await store.add(file)
    if (text !== 'package') objects[text] = { sha256, size }
  }
  await store.writeRecord(sha256('key'), { stage: 'root', objects, facts: {} })
  mkdirSync(join(store.treePath('tools'), 'usr/bin'), { recursive: true })
  writeFileSync(join(store.treePath('tools'), 'usr/bin/tool'), 'tool')
  await sealTree(store.treePath('tools'))
  return store
}

const verify = (store: Store) => verifyStore({ store, progress: () => {} })

function overwrite(path: string, text: string): void {
  chmodSync(path, 0o644)
  writeFileSync(path, text)
}

t.test('a sound store stays as it is', async (t) => {
  const store = await sound(t)
  const times = () =>
    (readdirSync(store.folder, { recursive: true }) as string[]).map((name) => [
      name,
      statSync(join(store.folder, name)).mtimeMs,
    ])
  const before = times()
  t.strictSame(await verify(store), {
    folder: store.folder,
    objects: 3,
    records: 1,
    trees: 1,
    bytes: 17,
    damage: [],
    stale: [],
  })
  t.strictSame(times(), before, 'to be verified is not to be used')
})

t.test('a damaged object goes, its stage is named, and the stage runs again', async (t) => {
  const store = await sound(t)
  overwrite(store.objectPath(sha256('root')), 'roof')
  const { damage } = await verify(store)
  t.match(damage, [{ kind: 'object', key: sha256('root'), stages: ['root'], reason: sha256('roof') }])
  t.equal(damage.length, 1, 'its record is not damage of its own')
  t.notOk(existsSync(store.objectPath(sha256('root'))))
  t.equal(await store.readRecord(sha256('key')), undefined)
  t.ok(existsSync(store.objectPath(sha256('kernel'))))
  t.strictSame((await verify(store)).damage, [])
})

t.test('a package, a record and a tree', async (t) => {
  if (!needTools(t, 'unshare')) return
  const store = await sound(t)
  overwrite(store.objectPath(sha256('package')), 'packagf')
  writeFileSync(store.recordPath(sha256('other')), '{"objects":')
  writeFileSync(join(store.treePath('tools'), 'usr/bin/tool'), 'toll')
  const missing = { gone: { sha256: sha256('gone'), size: 4 } }
  await store.writeRecord(sha256('third'), { stage: 'esp', objects: missing, facts: {} })
  const { damage } = await verify(store)
  t.equal(damage.length, 4)
  const found = (kind: string, key: string) => damage.find((item) => item.kind === kind && item.key === key)
  t.match(found('object', sha256('package')), { stages: [] })
  t.match(found('record', sha256('other')), { reason: 'it is not a record', stages: [] })
  t.match(found('record', sha256('third')), { reason: sha256('gone'), stages: ['esp'] })
  t.match(found('tree', 'tools'), { reason: /not those that were unpacked/ })
  t.strictSame(readdirSync(join(store.folder, 'trees')), [])
  t.match(await verify(store), { damage: [], records: 1, trees: 0 })
})

t.test('scratch of a killed build is told, and left to the next build', async (t) => {
  const store = await sound(t)
  const namespace = /\d+/.exec(readlinkSync('/proc/self/ns/pid'))
  const stale = join(store.folder, 'tmp', `${namespace?.[0]}-4194305-root-00000000`)
  writeFileSync(stale, 'half')
  const { stale: found, damage } = await verify(store)
  t.strictSame([found, damage], [[stale], []])
  t.equal(readFileSync(stale, 'utf8'), 'half')
})
