/** A store of a few small things whose times are set, and what pruning takes of them. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { sha256 } from '../../src/base/digests.js'
import { readContents } from '../../src/store/inventory.js'
import { pruneStore } from '../../src/store/prune.js'
import { sealTree, treeDigestFile } from '../../src/store/seal.js'
import { Store } from '../../src/store/store.js'
import { needTools } from '../support/tools.js'

const DAY = 24 * 3600 * 1000
const NOW = Date.now()

interface Fixture {
  store: Store
  /** Adds a stage whose objects hold these texts, last used so many days ago; the answer is its key. */
  stage(name: string, days: number, ...texts: string[]): Promise<string>
  /** Adds a package; the answer is its digest. */
  deb(text: string, days: number): Promise<string>
  tree(name: string, days: number): Promise<string>
  has(what: 'record' | 'object' | 'tree', key: string): boolean
}

async function fixture(t: { testdir(): string }): Promise<Fixture> {
  const store = await Store.open(join(t.testdir(), 'store'))
  const age = (path: string, days: number) => {
    const time = new Date(NOW - days * DAY)
    utimesSync(path, time, time)
  }
  const deb = async (text: string, days: number) => {
    const file = await store.scratchPath('test')
    writeFileSync(file, text)
    const { path, sha256: key } = await store.add(file)
    age(path, days)
    return key
  }
  return {
    store,
    deb,
    async stage(name, days, ...texts) {
      const objects: Record<string, { sha256: string; size: number }> = {}
      for (const text of texts) objects[text] = { sha256: await deb(text, days), size: text.length }
      const key = sha256(`key of ${name} ${days}`)
      await store.writeRecord(key, { stage: name, objects, facts: {} })
      age(store.recordPath(key), days)
      return key
    },
    async tree(name, days) {
      const key = sha256(name)
      const tree = store.treePath(key)
      mkdirSync(join(tree, 'usr/bin'), { recursive: true })
      writeFileSync(join(tree, 'usr/bin/tool'), name)
      await sealTree(tree)
      age(treeDigestFile(tree), days)
      return key
    },
    has(what, key) {
      const paths = {
        record: store.recordPath(key),
        object: store.objectPath(key),
        tree: store.treePath(key),
      }
      return existsSync(paths[what])
    },
  }
}

t.test('what is in a store', async (t) => {
  const { store, stage, deb, tree } = await fixture(t)
  const keys = [
    await tree('tools', 9),
    await deb('package', 7),
    await stage('root', 3, 'root', 'shared'),
    await stage('image at', 2),
    await stage('root', 1, 'newer root', 'shared'),
  ]
  const { entries, total, stale, folder } = await readContents(store)
  t.equal(folder, store.folder)
  t.strictSame(stale, [])
  t.strictSame(
    entries.map(({ kind, key, stage }) => [kind, key, stage]),
    [
      ['tree', keys[0], ''],
      ['object', keys[1], ''],
      ['stage', keys[2], 'root'],
      ['note', keys[3], 'image at'],
      ['stage', keys[4], 'root'],
    ],
    'the least recently used first',
  )
  t.strictSame(entries[2]?.objects, [sha256('root'), sha256('shared')])
  const blocks = (path: string) => statSync(path).blocks * 512
  const objects = ['package', 'root', 'shared', 'newer root'].map((text) => store.objectPath(sha256(text)))
  const note = store.recordPath(keys[3] as string)
  const sum = [...objects, note].reduce((all, path) => all + blocks(path), entries[0]?.size ?? 0)
  t.equal(total, sum, 'what two stages share counts once')
})

t.test('what was not used for long goes, the rest stays', async (t) => {
  if (!needTools(t, 'unshare')) return
  const { store, stage, deb, tree, has } = await fixture(t)
  const old = await stage('root', 40, 'root', 'shared')
  const young = await stage('root', 5, 'newer root', 'shared')
  const [oldDeb, youngDeb] = [await deb('old package', 31), await deb('package', 29)]
  const [oldTree, youngTree] = [await tree('old tools', 31), await tree('tools', 1)]
  const { removed, inUse } = await pruneStore(store, { olderThan: 30 * 24 * 3600 }, NOW)
  t.strictSame(
    removed.map(({ key }) => key),
    [old, oldDeb, oldTree],
  )
  t.notOk(inUse)
  for (const key of [oldDeb, sha256('root')]) t.notOk(has('object', key))
  for (const key of [youngDeb, sha256('newer root'), sha256('shared')]) t.ok(has('object', key))
  t.strictSame([has('record', old), has('record', young)], [false, true])
  t.strictSame([has('tree', oldTree), has('tree', youngTree)], [false, true])
  t.strictSame(readdirSync(join(store.folder, 'tmp')), [])
  t.strictSame((await pruneStore(store, { olderThan: 30 * 24 * 3600 }, NOW)).removed, [], 'and no more')
})

t.test('a size limit takes the least recently used, and only as much as it must', async (t) => {
  if (!needTools(t, 'unshare')) return
  const { store, stage, deb, has } = await fixture(t)
  const keys = [await deb('a', 4), await stage('b', 3, 'b'), await deb('c', 2), await deb('d', 1)]
  const { total } = await readContents(store)
  const pruned = await pruneStore(store, { maxSize: total - 1 })
  t.strictSame(
    pruned.removed.map(({ key }) => key),
    keys.slice(0, 1),
  )
  t.equal(pruned.total, (await readContents(store)).total)
  await pruneStore(store, { maxSize: 1 })
  for (const text of ['a', 'b', 'c', 'd']) t.notOk(has('object', sha256(text)))
  t.equal((await readContents(store)).total, 0)
})

t.test('what was used since a running build began stays, whatever is asked for', async (t) => {
  if (!needTools(t, 'unshare')) return
  const { store, stage, deb, tree, has } = await fixture(t)
  const used = await deb('used', 90)
  const [root, tools] = [await stage('root', 90, 'root'), await tree('tools', 90)]
  const idle = await deb('idle', 90)
  await store.leased(async () => {
    // As a build does: an object is checked before it is used, a tools tree is touched.
    t.ok(await store.verified(used, 4))
    t.ok(await store.verified(sha256('root'), 4))
    utimesSync(treeDigestFile(store.treePath(tools)), new Date(), new Date())
    const { removed, inUse } = await pruneStore(store, { maxSize: 0 })
    t.strictSame(
      removed.map(({ key }) => key),
      [idle],
    )
    t.ok(inUse)
  })
  t.ok(has('object', used) && has('object', sha256('root')) && has('record', root) && has('tree', tools))
  await pruneStore(store, { maxSize: 0 })
  t.notOk(has('object', used) || has('record', root) || has('tree', tools), 'when it has ended they go')
})

t.test('the lease of a build that was killed keeps nothing', async (t) => {
  if (!needTools(t, 'unshare')) return
  const { store, deb, has } = await fixture(t)
  const used = await deb('used', 0)
  const namespace = /\d+/.exec(readlinkSync('/proc/self/ns/pid'))?.[0]
  // The largest pid of Linux is 2^22 (proc(5), pid_max): this one never lives.
  const lease = join(store.folder, 'tmp', `${namespace}-4194305-lease-00000000`)
  writeFileSync(lease, '')
  utimesSync(lease, new Date(NOW - DAY), new Date(NOW - DAY))
  const { removed } = await pruneStore(store, { maxSize: 0 })
  t.equal(removed.length, 1)
  t.notOk(has('object', used))
  t.notOk(existsSync(lease))
})

t.test('an object that comes into use while a prune runs is put back', async (t) => {
  if (!needTools(t, 'unshare')) return
  const { store, deb, has } = await fixture(t)
  const key = await deb('bytes', 90)
  // The use comes between the look at the lease and the removal.
  const since = store.leasedSince.bind(store)
  store.leasedSince = async () => {
    const answer = await since()
    t.ok(await store.verified(key, 5))
    return answer
  }
  t.match(await pruneStore(store, { maxSize: 0 }), { removed: [], inUse: true })
  t.ok(has('object', key))
  t.strictSame(readdirSync(join(store.folder, 'tmp')), [])
})

const PRUNE = new URL('../../src/store/prune.ts', import.meta.url).href
const STORE = new URL('../../src/store/store.ts', import.meta.url).href

t.test('prunes and uses at the same time: a use that succeeded keeps its object', async (t) => {
  if (!needTools(t, 'unshare')) return
  const { store, deb, has } = await fixture(t)
  const texts = Array.from({ length: 60 }, (_, index) => `text ${index}`)
  for (const text of texts) await deb(text, 90)
  const script = `
    const { Store } = await import('${STORE}')
    const { pruneStore } = await import('${PRUNE}')
    const store = await Store.open('${store.folder}')
    console.log('ready')
    for (let round = 0; round < 3; round++) await pruneStore(store, { olderThan: 24 * 3600 })`
  const child = spawn(process.execPath, [...process.execArgv, '--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const ended = once(child, 'exit')
  await once(child.stdout, 'data')
  const kept: string[] = []
  await store.leased(async () => {
    for (const text of texts) {
      if (await store.verified(sha256(text), text.length)) kept.push(text)
    }
    t.strictSame(await ended, [0, null])
    for (const text of kept) t.ok(has('object', sha256(text)), text)
  })
  t.ok(kept.length > 0, `${kept.length} of ${texts.length} were used`)
})
