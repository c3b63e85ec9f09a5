/** Which lock a build uses, and what it refuses: with guests' images, which need no network. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { sha256 } from '../../src/base/digests.js'
import type { KeyvisorError } from '../../src/base/errors.js'
import type { ProgressEvent } from '../../src/base/progress.js'
import { type LockQuestion, makeLockFile, takeLock } from '../../src/lock/choose.js'
import { readLock, writeLock } from '../../src/lock/lock.js'
import { Store } from '../../src/store/store.js'
import type { Workplace } from '../../src/store/workplace.js'
import { answeringLock } from '../support/locks.js'
import { needTools } from '../support/tools.js'

interface Bench {
  folder: string
  place: Workplace
  question: LockQuestion
  /** Titles of what was done. */
  titles: string[]
}

/** A profile whose one guest has an image, without packages. */
async function bench(t: Pick<Test, 'testdir'>): Promise<Bench> {
  const folder = t.testdir({ 'box.raw': 'bytes' })
  const titles: string[] = []
  const progress = (event: ProgressEvent) => {
    // The reading of an image is told as well.
    if (event.kind === 'start' && event.stage !== 'read') titles.push(event.title)
  }
  const run = { store: await Store.open(join(folder, 'store')), progress }
  const files = { 'guest.box/disk0': { path: join(folder, 'box.raw'), format: 'raw' as const } }
  const request = { packages: [], files, mirror: undefined }
  const profile = join(folder, 'demo.yaml')
  return { folder, place: run, titles, question: { profile, path: join(folder, 'demo.lock.json'), request } }
}

const HOST = { set: 'host', suite: 'trixie', architecture: 'amd64', packages: ['vim'] }

function withHost({ question }: Bench): LockQuestion {
  return { ...question, request: { ...question.request, packages: [HOST] } }
}

t.test('a lock is made once, and then taken as it is', async (t) => {
  if (!needTools(t, 'unshare')) return
  const { place: run, question, titles } = await bench(t)
  const first = await takeLock(question, {}, run)
  t.equal(first.made, true)
  t.strictSame(first.lock.files, { 'guest.box/disk0': { sha256: sha256('bytes'), size: 5 } })
  t.strictSame(await takeLock(question, {}, run), { lock: first.lock, made: false })
  t.strictSame(await takeLock(question, { locked: true }, { ...run, offline: true }), {
    lock: first.lock,
    made: false,
  })
  t.equal((await takeLock(question, { update: true }, run)).made, true)
  t.equal(titles.length, 2)
})

t.test('an image that changed does not slip through', async (t) => {
  if (!needTools(t, 'unshare')) return
  const { folder, place: run, question } = await bench(t)
  const { lock } = await takeLock(question, {}, run)
  writeFileSync(join(folder, 'box.raw'), 'BYTES')
  for (const offline of [false, true]) {
    await t.rejects(takeLock(question, {}, { ...run, offline }), {
      code: 'image-changed',
      message: /guest\.box\/disk0$/,
      hint: `take the change: keyvisor lock ${join(folder, 'demo.yaml')}`,
      problems: [{ code: 'image-changed', message: sha256('BYTES') }],
    })
  }
  await t.rejects(takeLock(question, { locked: true }, run), { code: 'lock-unfit' })
  t.strictSame(await readLock(question.path), lock, 'nothing was written')
  t.equal(
    (await takeLock(question, { update: true }, run)).lock.files['guest.box/disk0']?.sha256,
    sha256('BYTES'),
  )
})

t.test('new images leave package versions as they are, and need no network', async (t) => {
  const all = await bench(t)
  const question = withHost(all)
  const lock = await answeringLock({ ...question.request, files: {} }, all.place)
  await writeLock(question.path, lock)
  const taken = await takeLock(question, {}, { ...all.place, offline: true })
  t.equal(taken.made, true)
  t.strictSame(taken.lock.sets, lock.sets)
  t.strictSame(Object.keys(taken.lock.files), ['guest.box/disk0'])
  t.strictSame(await readLock(question.path), taken.lock)
  t.match(all.titles, [/images of guests/])
})

t.test('locked, a lock that is missing or does not fit is refused, and left alone', async (t) => {
  const all = await bench(t)
  const { folder, place: run } = all
  const question = withHost(all)
  const command = `keyvisor lock ${question.profile}`
  await t.rejects(takeLock(question, { locked: true }, run), { code: 'lock-missing', hint: command })
  t.notOk(existsSync(question.path))
  const elsewhere = { ...question, path: join(folder, 'a lock') }
  await t.rejects(takeLock(elsewhere, { locked: true }, run), {
    code: 'lock-missing',
    hint: `${command} --lock '${elsewhere.path}'`,
  })

  const other = { ...question.request, packages: [{ ...HOST, packages: ['nano'] }], files: {} }
  await writeLock(question.path, await answeringLock(other, run))
  const before = readFileSync(question.path, 'utf8')
  const error = (await takeLock(question, { locked: true, update: true }, run).catch(
    (thrown) => thrown,
  )) as KeyvisorError
  t.match(error, { code: 'lock-unfit', exitCode: 1, hint: command })
  t.strictSame(
    error.problems.map(({ path, message }) => `${path}: ${message}`),
    [
      'host: asked for, and not locked: vim',
      'host: locked, and not asked for any more: nano',
      'guest.box/disk0: its file is not locked',
    ],
  )
  t.equal(readFileSync(question.path, 'utf8'), before)
  t.strictSame(all.titles, [])
})

t.test('a checksum that is not that of the profile is refused too', async (t) => {
  const { place: run, question } = await bench(t)
  const lock = await answeringLock(question.request, run)
  await writeLock(question.path, { ...lock, requests: sha256('another') })
  await t.rejects(takeLock(question, { locked: true }, run), {
    code: 'lock-unfit',
    problems: [{ path: 'requests', message: /checksum/ }],
  })
})

t.test('offline, no versions are chosen', async (t) => {
  const all = await bench(t)
  const question = withHost(all)
  const run = { ...all.place, offline: true }
  await t.rejects(takeLock(question, {}, run), { code: 'lock-missing', hint: /network/ })
  const other = { ...question.request, packages: [{ ...HOST, packages: ['nano'] }] }
  const lock = await answeringLock(other, run)
  await writeLock(question.path, lock)
  await t.rejects(takeLock(question, {}, run), { code: 'lock-unfit', problems: [{ path: 'host' }, {}] })
  await t.rejects(makeLockFile(question, undefined, run), { code: 'lock-missing' })
  t.strictSame(await readLock(question.path), lock)
  t.strictSame(all.titles, [])
})

t.test('where the lock cannot be written, nothing is chosen', async (t) => {
  const all = await bench(t)
  const question = { ...withHost(all), path: join(all.folder, 'nowhere', 'x.lock.json') }
  await t.rejects(takeLock(question, {}, all.place), {
    code: 'lock-unwritable',
    message: /there is no folder/,
  })
  t.strictSame(all.titles, [])
})
