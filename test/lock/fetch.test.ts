/** Locked packages on their way into the store, from archives that are folders. */
import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { sha256 } from '../../src/base/digests.js'
import { silent } from '../../src/base/progress.js'
import { archivesOf, fetchDebs, lockedDebs } from '../../src/lock/fetch.js'
import type { Lock } from '../../src/lock/types.js'
import { Store } from '../../src/store/store.js'
import { item, lockOf } from '../support/locks.js'
import { needTools } from '../support/tools.js'

async function storeWith(t: { testdir(): string }, ...texts: string[]): Promise<Store> {
  const store = await Store.open(join(t.testdir(), 'store'))
  for (const text of texts) {
    const file = join(await store.scratch('test'), 'deb')
    writeFileSync(file, text)
    await store.add(file)
  }
  return store
}

const [a, b, c] = [item('a', 'A'), item('b', 'B'), item('c', 'C')]
const source = (lock: Lock, archives = archivesOf(lock)) => ({ lock, archives })

t.test('archives: the mirror of today, where the lock found them, and snapshots last', async (t) => {
  const sources = {
    trixie: [
      'deb http://archive.example/debian trixie main',
      'deb http://archive.example/debian trixie-updates main',
    ],
    'trixie-backports': ['deb http://other.example/debian/ trixie-backports main'],
  }
  const lock = { ...lockOf({}), sources }
  const found = ['http://archive.example/debian', 'http://other.example/debian']
  t.strictSame(archivesOf(lock), found)
  const snapshots = ['https://snapshot.example.org/debian/', 'http://other.example/debian']
  t.strictSame(archivesOf(lock, { mirror: 'http://near.example/debian', snapshots }), [
    'http://near.example/debian',
    ...found,
    'https://snapshot.example.org/debian',
  ])
})

t.test('a snapshot has what a mirror has dropped', async (t) => {
  if (!needTools(t, 'apt-get', 'unshare')) return
  const folder = t.testdir({ mirror: { pool: {} }, snapshot: { pool: {} } })
  writeFileSync(join(folder, 'mirror', a.filename), 'A')
  writeFileSync(join(folder, 'snapshot', b.filename), 'B')
  const store = await Store.open(join(folder, 'store'))
  const archives = ['mirror', 'snapshot'].map((name) => `copy:${folder}/${name}`)
  await fetchDebs(source(lockOf({ host: [a, b] }), archives), ['host'], { store, progress: silent })
  t.ok(await store.has(a.sha256, 1))
  t.ok(await store.has(b.sha256, 1))
})

t.test('offline, what the store lacks is named at once, and nothing is asked', async (t) => {
  const store = await storeWith(t, 'A')
  const progress = () => t.fail('nothing is fetched')
  const lock = lockOf({ host: [a, b], tools: [a, c] })
  await t.rejects(fetchDebs(source(lock), ['host', 'tools'], { store, progress, offline: true }), {
    code: 'packages-missing',
    message: /nothing is fetched: b 1:2, c 1:2$/,
    hint: /--offline/,
  })
  const stored = lockOf({ host: [a] })
  await t.resolves(fetchDebs(source(stored), ['host'], { store, progress, offline: true }))
})

t.test('packages that the store has need no network', async (t) => {
  const store = await storeWith(t, 'A', 'B')
  const debs = await lockedDebs(source(lockOf({ host: [a, b], some: [a] })), ['host', 'some'], {
    store,
    progress: () => t.fail('nothing is fetched'),
  })
  t.equal(debs['host']?.length, 2)
  t.equal(debs['some']?.[0]?.path, store.objectPath(sha256('A')))
})

t.test('a package that cannot be had is named with all others', async (t) => {
  const store = await storeWith(t, 'A')
  const lock = lockOf({ host: [a, b, c] })
  const controller = new AbortController()
  await t.rejects(
    lockedDebs(source(lock), ['host'], { store, progress: () => {}, signal: controller.signal }),
    {
      code: 'package-gone',
      message: /: b 1:2, c 1:2$/,
      hint: /host\.snapshots.*--update/,
    },
  )
  t.strictSame(await store.staleScratch(), [])
})

t.test('a damaged package is fetched again, never used', async (t) => {
  const store = await storeWith(t, 'A', 'B')
  const path = store.objectPath(sha256('B'))
  chmodSync(path, 0o644)
  writeFileSync(path, 'X')
  const lock = lockOf({ host: [a, b] })
  await t.rejects(lockedDebs(source(lock), ['host'], { store, progress: () => {} }), {
    code: 'package-gone',
    message: /: b 1:2$/,
  })
})

t.test('a package with one flipped byte is fetched again, never used', async (t) => {
  const store = await storeWith(t, 'A', 'B')
  const path = store.objectPath(sha256('B'))
  chmodSync(path, 0o644)
  writeFileSync(path, 'b')
  await t.rejects(lockedDebs(source(lockOf({ host: [a, b] })), ['host'], { store, progress: silent }), {
    code: 'package-gone',
    message: /: b 1:2$/,
  })
})
