import { chmodSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { sha256 } from '../../src/base/digests.js'
import {
  answers,
  type LockRequest,
  lockedDebs,
  lockedSet,
  makeLock,
  readLock,
  setDigest,
  writeLock,
} from '../../src/build/lock.js'
import { Store } from '../../src/build/store.js'
import type { Lock, LockedPackage } from '../../src/plan/types.js'

const request: LockRequest = { packages: [], images: {}, mirror: undefined }

/** A lock without packages needs no network. */
async function imageLock(t: { testdir(): string }) {
  const folder = t.testdir()
  writeFileSync(join(folder, 'box.raw'), 'bytes')
  const store = await Store.open(join(folder, 'store'))
  const images = { box: join(folder, 'box.raw') }
  return { folder, store, request: { ...request, images }, path: join(folder, 'demo.lock.json') }
}

t.test('a lock pins the bytes of images, and comes back as it went', async (t) => {
  const { store, request, path } = await imageLock(t)
  const lock = await makeLock(request, store)
  t.strictSame(lock.images, { box: { sha256: sha256('bytes'), size: 5 } })
  t.equal(await readLock(path), undefined)
  await writeLock(path, lock)
  t.strictSame(await readLock(path), lock)
  t.strictSame(await store.staleScratch(), [])
})

t.test('a lock answers only what was asked for when it was made', async (t) => {
  const { store, request } = await imageLock(t)
  const lock = await makeLock(request, store)
  const set = { set: 'host', suite: 'trixie', packages: ['vim'] }
  const others: LockRequest[] = [
    { ...request, packages: [set] },
    { ...request, images: {} },
    { ...request, images: { ...request.images, other: '/x' } },
  ]
  for (const other of others) t.notOk(answers(lock, other))
  const moved = { ...request, images: { box: '/elsewhere' }, mirror: 'http://archive.example/debian' }
  t.ok(answers(lock, moved), 'where an image lies, or a mirror, is not what was asked for')
})

t.test('a damaged lock is named', async (t) => {
  const { store, request, path } = await imageLock(t)
  await writeLock(path, await makeLock(request, store))
  const text = readFileSync(path, 'utf8')
  const lock = JSON.parse(text) as Lock
  const damages = [
    '',
    text.slice(0, -20),
    'null',
    '[]',
    JSON.stringify({ ...lock, version: 2 }),
    JSON.stringify({ ...lock, epoch: '1' }),
    JSON.stringify({ ...lock, sets: { host: ['none_1_amd64'] } }),
    JSON.stringify({ ...lock, packages: undefined }),
  ]
  for (const damage of damages) {
    writeFileSync(path, damage)
    await t.rejects(readLock(path), { code: 'lock-damaged', hint: /--update/ }, damage.slice(0, 40))
  }
  await t.rejects(readLock(join(path, 'below')), { code: 'lock-damaged' })
})

// --------------------------------------------------------------------------------------------- packages

const item = (name: string, text: string): LockedPackage => ({
  ...{ name, version: '1:2', architecture: 'amd64', sha256: sha256(text), size: text.length },
  filename: `pool/${name}_2_amd64.deb`,
  stanza: `Package: ${name}\n`,
})

function lockOf(items: LockedPackage[]): Lock {
  const packages = Object.fromEntries(items.map((item) => [`${item.name}_1:2_amd64`, item]))
  return {
    ...{ version: 1, epoch: 1, requests: '', packages, images: {} },
    // An archive that has nothing, whatever the network is like.
    sources: { trixie: ['deb file:/nonexistent trixie main'] },
    sets: { host: Object.keys(packages), some: Object.keys(packages).slice(0, 1) },
  }
}

async function storeWith(t: { testdir(): string }, ...texts: string[]): Promise<Store> {
  const store = await Store.open(join(t.testdir(), 'store'))
  for (const text of texts) {
    const file = join(await store.scratch('test'), 'deb')
    writeFileSync(file, text)
    await store.add(file)
  }
  return store
}

t.test('a set is its packages in order, and its digest changes with each', async (t) => {
  const lock = lockOf([item('a', 'A'), item('b', 'B')])
  t.strictSame(
    lockedSet(lock, 'host').map(({ name }) => name),
    ['a', 'b'],
  )
  t.throws(() => lockedSet(lock, 'none'), /BUG/)
  t.not(setDigest(lock, 'host'), setDigest(lock, 'some'))
  t.not(setDigest(lock, 'host'), setDigest(lockOf([item('a', 'A'), item('b', 'C')]), 'host'))
})

t.test('packages that the store has need no network', async (t) => {
  const store = await storeWith(t, 'A', 'B')
  const debs = await lockedDebs(lockOf([item('a', 'A'), item('b', 'B')]), ['host', 'some'], {
    store,
    progress: () => t.fail('nothing is fetched'),
  })
  t.equal(debs['host']?.length, 2)
  t.equal(debs['some']?.[0]?.path, store.objectPath(sha256('A')))
})

t.test('a package that cannot be had is named with all others', async (t) => {
  const store = await storeWith(t, 'A')
  const lock = lockOf([item('a', 'A'), item('b', 'B'), item('c', 'C')])
  const controller = new AbortController()
  await t.rejects(lockedDebs(lock, ['host'], { store, progress: () => {}, signal: controller.signal }), {
    code: 'package-gone',
    message: /: b 1:2, c 1:2$/,
    hint: /--update/,
  })
  t.strictSame(await store.staleScratch(), [])
})

t.test('a package with one flipped byte is fetched again, never used', async (t) => {
  const store = await storeWith(t, 'A', 'package B')
  const path = store.objectPath(sha256('package B'))
  chmodSync(path, 0o644)
  writeFileSync(path, 'packagf B')
  const lock = lockOf([item('a', 'A'), item('b', 'package B')])
  await t.rejects(lockedDebs(lock, ['host'], { store, progress: () => {} }), {
    code: 'package-gone',
    message: /: b 1:2$/,
  })
})
