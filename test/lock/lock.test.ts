import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { canonicalJson, sha256 } from '../../src/base/digests.js'
import { silent } from '../../src/base/progress.js'
import {
  answers,
  answersPackages,
  checkLockFolder,
  type LockedFile,
  type LockRequest,
  lockedSet,
  makeLock,
  readLock,
  setDigest,
  withFiles,
  writeLock,
} from '../../src/lock/lock.js'
import type { Lock } from '../../src/lock/types.js'
import { Store } from '../../src/store/store.js'
import type { Workplace } from '../../src/store/workplace.js'
import { answeringLock, item, lockOf } from '../support/locks.js'

const request: LockRequest = { packages: [], files: {}, mirror: undefined }

const raw = (path: string): LockedFile => ({ path, format: 'raw' })

/** A lock without packages needs no network. */
async function imageLock(t: { testdir(): string }) {
  const folder = t.testdir()
  writeFileSync(join(folder, 'box.raw'), 'bytes')
  const store = await Store.open(join(folder, 'store'))
  const files = { 'guest.box/disk0': raw(join(folder, 'box.raw')) }
  const place: Workplace = { store, progress: silent }
  return { folder, store, place, request: { ...request, files }, path: join(folder, 'demo.lock.json') }
}

t.test('a lock pins the bytes of images, and comes back as it went', async (t) => {
  const { store, place, request, path } = await imageLock(t)
  const lock = await makeLock(request, place)
  t.strictSame(lock.files, { 'guest.box/disk0': { sha256: sha256('bytes'), size: 5 } })
  t.equal(await readLock(path), undefined)
  await writeLock(path, lock)
  t.strictSame(await readLock(path), lock)
  t.strictSame(await store.staleScratch(), [])
})

t.test('a lock answers only what was asked for when it was made', async (t) => {
  const { place, request } = await imageLock(t)
  const lock = await makeLock(request, place)
  const set = { set: 'host', suite: 'trixie', architecture: 'amd64', packages: ['vim'] }
  const others: LockRequest[] = [
    { ...request, packages: [set] },
    { ...request, files: {} },
    { ...request, files: { ...request.files, 'guest.box/iso0': { path: '/x', format: 'iso' } } },
  ]
  for (const other of others) t.notOk(answers(lock, other))
  const moved = {
    ...request,
    files: { 'guest.box/disk0': raw('/elsewhere') },
    mirror: 'http://archive.example/debian',
  }
  t.ok(answers(lock, moved), 'where an image lies, or a mirror, is not what was asked for')
})

t.test('the order of guests is not what was asked for', async (t) => {
  const { place, request } = await imageLock(t)
  const sets = ['guest.b', 'guest.a'].map((set) => ({
    set,
    suite: 'trixie',
    architecture: 'amd64',
    packages: ['vim'],
  }))
  const lock = await answeringLock({ ...request, packages: sets }, place)
  t.ok(answers(lock, { ...request, packages: sets.toReversed() }))
  t.ok(answersPackages(lock, { ...request, packages: sets.toReversed() }))
  t.notOk(answersPackages(lock, { ...request, packages: sets.slice(1) }))
})

t.test('other images leave the packages as they are', async (t) => {
  const { folder, place, request } = await imageLock(t)
  const packages = [{ set: 'host', suite: 'trixie', architecture: 'amd64', packages: ['vim'] }]
  const lock = await answeringLock({ ...request, packages }, place)
  writeFileSync(join(folder, 'other.raw'), 'other')
  const other = { ...request, packages, files: { other: raw(join(folder, 'other.raw')) } }
  const renewed = await withFiles(lock, other, place)
  t.ok(answers(renewed, other))
  t.strictSame(renewed.files, { other: { sha256: sha256('other'), size: 5 } })
  t.strictSame(renewed.sets, lock.sets)
})

t.test('a lock that cannot be written is told before anything is chosen', async (t) => {
  const { folder, place, request } = await imageLock(t)
  const lock = await makeLock(request, place)
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
  const { place, request, path } = await imageLock(t)
  await writeLock(path, await makeLock(request, place))
  const text = readFileSync(path, 'utf8')
  const lock = JSON.parse(text) as Lock
  const damages = [
    '',
    text.slice(0, -20),
    'null',
    '[]',
    JSON.stringify({ ...lock, version: '2' }),
    JSON.stringify({ ...lock, version: 0 }),
    JSON.stringify({ ...lock, files: undefined }),
    JSON.stringify({ ...lock, version: 1 }),
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

/** What Keyvisor 0.1 wrote. */
async function oldLock(request: LockRequest, place: Workplace) {
  const { version: _, asked, files, requests: __, ...rest } = await answeringLock(request, place)
  const old = asked.map(({ architecture: ___, ...set }) => set)
  const images = Object.fromEntries(
    Object.entries(files).map(([name, pin]) => [name.replace(/^guest\.(.*)\/disk0$/, '$1'), pin]),
  )
  const digest = sha256(canonicalJson({ packages: old, images: Object.keys(images).sort() }))
  return { version: 1, ...rest, requests: digest, asked: old, images }
}

t.test('a lock of version 1 answers what it answered', async (t) => {
  const { place, request, path } = await imageLock(t)
  const packages = ['host', 'tools.pack'].map((set) => ({
    set,
    suite: 'trixie',
    architecture: 'amd64',
    packages: ['vim'],
  }))
  const asked = { ...request, packages }
  const old = await oldLock(asked, place)
  writeFileSync(path, JSON.stringify(old))
  const lock = (await readLock(path)) as Lock
  t.equal(lock.version, 1)
  t.strictSame({ ...lock, version: 2 }, await answeringLock(asked, place))
  t.ok(answers(lock, asked))
  t.strictSame(await withFiles(lock, asked, place), await answeringLock(asked, place))
  writeFileSync(path, JSON.stringify({ ...old, requests: sha256('edited') }))
  t.notOk(answers((await readLock(path)) as Lock, asked), 'one that was edited answers nothing')
  const { asked: _, ...first } = old
  writeFileSync(path, JSON.stringify(first))
  t.match(await readLock(path), { asked: [] }, 'the first ones did not say what they answer')
})

t.test('a lock of a later version is refused by it', async (t) => {
  const { path } = await imageLock(t)
  writeFileSync(path, '{"version": 3}')
  await t.rejects(readLock(path), {
    code: 'lock-newer',
    message: `the lock ${path} is of version 3, and this Keyvisor reads up to version 2`,
  })
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
