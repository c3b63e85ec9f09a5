import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { sha256 } from '../../src/base/digests.js'
import {
  answers,
  answersPackages,
  checkLockFolder,
  type LockRequest,
  lockedSet,
  makeLock,
  readLock,
  setDigest,
  withImages,
  writeLock,
} from '../../src/lock/lock.js'
import type { Lock } from '../../src/lock/types.js'
import { Store } from '../../src/store/store.js'
import { answeringLock, item, lockOf } from '../support/locks.js'

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

t.test('the order of guests is not what was asked for', async (t) => {
  const { store, request } = await imageLock(t)
  const sets = ['guest.b', 'guest.a'].map((set) => ({ set, suite: 'trixie', packages: ['vim'] }))
  const lock = await answeringLock({ ...request, packages: sets }, store)
  t.ok(answers(lock, { ...request, packages: sets.toReversed() }))
  t.ok(answersPackages(lock, { ...request, packages: sets.toReversed() }))
  t.notOk(answersPackages(lock, { ...request, packages: sets.slice(1) }))
})

t.test('other images leave the packages as they are', async (t) => {
  const { folder, store, request } = await imageLock(t)
  const packages = [{ set: 'host', suite: 'trixie', packages: ['vim'] }]
  const lock = await answeringLock({ ...request, packages }, store)
  writeFileSync(join(folder, 'other.raw'), 'other')
  const other = { ...request, packages, images: { other: join(folder, 'other.raw') } }
  const renewed = await withImages(lock, other, store)
  t.ok(answers(renewed, other))
  t.strictSame(renewed.images, { other: { sha256: sha256('other'), size: 5 } })
  t.strictSame(renewed.sets, lock.sets)
})

t.test('a lock that cannot be written is told before anything is chosen', async (t) => {
  const { folder, store, request } = await imageLock(t)
  const lock = await makeLock(request, store)
  const path = join(folder, 'nowhere', 'x.lock.json')
  for (const tried of [checkLockFolder(path), writeLock(path, lock)]) {
    await t.rejects(tried, {
      code: 'lock-unwritable',
      message: `there is no folder ${join(folder, 'nowhere')}`,
      hint: /--lock/,
    })
  }
  await t.rejects(checkLockFolder('/dev/null/x'), {
    code: 'lock-unwritable',
    message: /is a file, and no folder/,
  })
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
  await t.rejects(readLock(join(path, 'below')), { code: 'lock-unreadable' })
})

t.test('a set is its packages in order, and its digest changes with each', async (t) => {
  const [a, b] = [item('a', 'A'), item('b', 'B')]
  const lock = lockOf({ host: [a, b], some: [a] })
  t.strictSame(
    lockedSet(lock, 'host').map(({ name }) => name),
    ['a', 'b'],
  )
  t.throws(() => lockedSet(lock, 'none'), /BUG/)
  t.not(setDigest(lock, 'host'), setDigest(lock, 'some'))
  t.not(setDigest(lock, 'host'), setDigest(lockOf({ host: [a, item('b', 'C')] }), 'host'))
})
