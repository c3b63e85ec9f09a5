/** Bases of the user's: read once, and again when they are others. */
import {
  chmodSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { sha256 } from '../../src/base/digests.js'
import type { ProgressEvent } from '../../src/base/progress.js'
import { MiB } from '../../src/base/units.js'
import { verityLeaves } from '../../src/disk/verity.js'
import { fileDigest, leavesOf } from '../../src/sources/base.js'
import { Store } from '../../src/store/store.js'
import type { Workplace } from '../../src/store/workplace.js'
import { keepTimes } from '../support/times.js'

/** Of a file whose reading is told. */
const LONG = 133 * MiB

/** More than a tick of the clock that stamps are made of. */
const SETTLING = 100

interface Bench {
  folder: string
  path: string
  place: Workplace
  /** How often a file was read. */
  readings(): number
  events: ProgressEvent[]
  digest(): ReturnType<typeof fileDigest>
}

async function bench(t: Pick<Test, 'testdir'>, content: Buffer | string = 'bytes'): Promise<Bench> {
  const folder = t.testdir({ 'box.qcow2': content })
  const path = join(folder, 'box.qcow2')
  const events: ProgressEvent[] = []
  const store = await Store.open(join(folder, 'store'))
  const place = { store, progress: (event: ProgressEvent) => void events.push(event) }
  let times = 0
  const inScratch = store.inScratch.bind(store)
  store.inScratch = (name, work) => {
    if (name === 'leaves') times++
    return inScratch(name, work)
  }
  await sleep(SETTLING)
  return {
    folder,
    path,
    place,
    readings: () => times,
    events,
    digest: () => fileDigest(path, 'qcow2', place),
  }
}

/** The same with a file that takes a while, all of it a hole. */
async function longBench(t: Pick<Test, 'testdir'>): Promise<Bench> {
  const made = await bench(t)
  truncateSync(made.path, LONG)
  await sleep(SETTLING)
  return made
}

t.test('a file is read once, and again after it was written to', async (t) => {
  const { path, readings, digest } = await bench(t)
  const found = await digest()
  t.strictSame(found, { sha256: sha256('bytes'), size: 5 })
  t.strictSame(await digest(), found)
  t.equal(readings(), 1)
  writeFileSync(path, 'BYTES')
  await sleep(SETTLING)
  t.strictSame(await digest(), { sha256: sha256('BYTES'), size: 5 })
  t.equal(readings(), 2)
  await digest()
  t.equal(readings(), 2)
  rmSync(path)
  await t.rejects(digest(), { code: 'ENOENT' })
})

t.test('what was remembered is the answer', async (t) => {
  const { path, place, digest } = await bench(t)
  await digest()
  const key = sha256(`digest of ${path}`)
  const record = await place.store.readRecord(key)
  await place.store.writeRecord(key, { stage: '', objects: {}, facts: { ...record?.facts, size: 6 } })
  t.equal((await digest()).size, 6)
})

t.test('a write is seen though the time was put back', async (t) => {
  const { path, readings, digest } = await bench(t)
  const { mtimeNs } = statSync(path, { bigint: true })
  const putBack = keepTimes(path)
  await digest()
  writeFileSync(path, 'BYTES')
  putBack()
  t.equal(statSync(path, { bigint: true }).mtimeNs, mtimeNs)
  await sleep(SETTLING)
  t.equal((await digest()).sha256, sha256('BYTES'))
  t.equal(readings(), 2)
})

t.test('another file of the same name, size and time is another file', async (t) => {
  const { folder, path, digest } = await bench(t)
  const putBack = keepTimes(path)
  await digest()
  writeFileSync(join(folder, 'other'), 'BYTES')
  renameSync(join(folder, 'other'), path)
  putBack()
  await sleep(SETTLING)
  t.equal((await digest()).sha256, sha256('BYTES'))
})

t.test('a file that was written a moment ago is not remembered', async (t) => {
  const { path, readings, digest } = await bench(t)
  writeFileSync(path, 'BYTES')
  for (const times of [1, 2]) {
    utimesSync(path, new Date(), new Date())
    t.equal((await digest()).sha256, sha256('BYTES'))
    t.equal(readings(), times, 'it is read each time')
  }
  await sleep(SETTLING)
  await digest()
  await digest()
  t.equal(readings(), 3, 'and once more when it has settled')
})

t.test('a file that is written to while it is read is not remembered', async (t) => {
  const { path, place, digest } = await longBench(t)
  const progress = (event: ProgressEvent) => {
    if (event.kind === 'bytes' && event.done < LONG) writeFileSync(path, 'y', { flag: 'r+' })
  }
  await fileDigest(path, 'qcow2', { ...place, progress })
  await sleep(SETTLING)
  t.equal((await digest()).sha256, sha256(readFileSync(path)))
})

t.test('whoever watches sees it come', async (t) => {
  const { path, events, digest } = await longBench(t)
  await digest()
  t.match(events[0], { kind: 'start', stage: 'read', title: `read ${path}` })
  const told = events.flatMap((event) => (event.kind === 'bytes' ? [[event.done, event.total]] : []))
  t.strictSame(told.at(0), [4 * MiB, LONG])
  t.strictSame(told.at(-1), [LONG, LONG])
  t.equal(told.length, Math.ceil(LONG / (4 * MiB)))
  t.match(events.at(-1), { kind: 'end', stage: 'read', reused: false })
})

t.test('of a small file, which is read in a moment, nothing is told', async (t) => {
  const { events, digest } = await bench(t, Buffer.alloc(9 * MiB, 'x'))
  await digest()
  t.strictSame(events, [])
})

t.test('an interrupted reading leaves nothing', async (t) => {
  const { path, place } = await longBench(t)
  const controller = new AbortController()
  const progress = () => controller.abort(new Error('enough'))
  const interrupted = { ...place, progress, signal: controller.signal }
  await t.rejects(fileDigest(path, 'qcow2', interrupted), { message: 'enough' })
  t.equal(await place.store.readRecord(sha256(`digest of ${path}`)), undefined)
  t.strictSame(await place.store.staleScratch(), [])
})

t.test('leaves are those of the file, holes included, and are kept from the first reading', async (t) => {
  const { path, place, readings, digest } = await bench(t)
  writeFileSync(path, Buffer.alloc(5000, 'x'))
  truncateSync(path, 17 * MiB)
  writeFileSync(path, 'end', { flag: 'a' })
  await sleep(SETTLING)
  const base = { path, ...(await digest()) }
  const leaves = await leavesOf(base, place)
  t.ok(readFileSync(leaves).equals(verityLeaves(readFileSync(path))))
  t.equal(readings(), 1)
  rmSync(path)
  t.equal(await leavesOf(base, place), leaves, 'whatever became of the file')
})

t.test('of a raw disk, which is no base, no leaves are kept', async (t) => {
  const { path, place } = await bench(t, Buffer.alloc(4096, 'x'))
  const { sha256: digest } = await fileDigest(path, 'raw', place)
  t.equal(await place.store.readRecord(sha256(`leaves of ${digest}`)), undefined)
})

t.test('leaves that are lost or damaged are taken anew, of the same file alone', async (t) => {
  const { path, place, digest } = await bench(t, Buffer.alloc(3 * 4096, 'x'))
  const base = { path, ...(await digest()) }
  const leaves = await leavesOf(base, place)
  const before = readFileSync(leaves)
  const losses: (() => void)[] = [
    () => rmSync(leaves),
    () => {
      chmodSync(leaves, 0o644)
      writeFileSync(leaves, Buffer.alloc(before.length))
    },
    () => rmSync(place.store.recordPath(sha256(`leaves of ${base.sha256}`))),
  ]
  for (const lose of losses) {
    lose()
    t.ok(readFileSync(await leavesOf(base, place)).equals(before))
  }
  rmSync(leaves)
  writeFileSync(path, Buffer.alloc(3 * 4096, 'y'))
  await t.rejects(leavesOf(base, place), {
    code: 'image-changed',
    message: `${path} is not the image that the lock names`,
    hint: /--update/,
  })
  rmSync(path)
  await t.rejects(leavesOf(base, place), { code: 'ENOENT' })
})
