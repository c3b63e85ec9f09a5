/** Files that are known again without being read. */
import { linkSync, renameSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { fileStamp, isSettled, openStamp } from '../../src/store/unchanged.js'
import { keepTimes } from '../support/times.js'

/** Two ticks of any clock that a file system here has. */
const TICKS = 20

t.test('a stamp stays as long as nobody writes', async (t) => {
  const path = join(t.testdir({ 'box.raw': 'bytes' }), 'box.raw')
  const before = await fileStamp(path)
  t.type(before, 'string')
  const file = await open(path)
  t.equal(await openStamp(file), before, 'of the open file, too')
  await file.read(Buffer.alloc(5), 0, 5, 0)
  t.equal(await fileStamp(path), before, 'reading changes nothing')
  await file.close()
  rmSync(path)
  t.equal(await fileStamp(path), undefined)
})

t.test('a stamp changes with whatever is done to a file', async (t) => {
  const folder = t.testdir({ 'box.raw': 'bytes' })
  const path = join(folder, 'box.raw')
  const ways: Record<string, () => void> = {
    'other bytes': () => writeFileSync(path, 'BYTES'),
    'other bytes, and the time put back': () => {
      const putBack = keepTimes(path)
      writeFileSync(path, 'bytes')
      putBack()
    },
    'another file of the same bytes and times': () => {
      const putBack = keepTimes(path)
      writeFileSync(join(folder, 'other'), 'bytes')
      renameSync(join(folder, 'other'), path)
      putBack()
    },
    'one more name': () => linkSync(path, join(folder, 'more')),
  }
  for (const [what, change] of Object.entries(ways)) {
    const before = await fileStamp(path)
    await sleep(TICKS)
    change()
    t.not(await fileStamp(path), before, what)
  }
})

t.test('an open file keeps its stamp when another takes its name', async (t) => {
  const folder = t.testdir({ 'box.raw': 'bytes', other: 'other' })
  const path = join(folder, 'box.raw')
  const file = await open(path)
  t.teardown(() => file.close())
  renameSync(join(folder, 'other'), path)
  t.not(await openStamp(file), await fileStamp(path))
})

t.test('a file that was written just now is not settled', async (t) => {
  const path = join(t.testdir(), 'box.raw')
  const settled = async () => {
    const file = await open(path)
    return isSettled(file).finally(() => file.close())
  }
  writeFileSync(path, 'bytes')
  t.notOk(await settled())
  await sleep(100)
  t.ok(await settled())
  const whole = Math.floor(Date.now() / 1000) - 100
  utimesSync(path, whole, whole)
  await sleep(100)
  t.notOk(await settled(), 'times of whole seconds have a longer tick')
  const [ahead, back] = [Date.now() / 1000 + 100.5, Date.now() / 1000 - 100.5]
  utimesSync(path, ahead, ahead)
  await sleep(100)
  t.notOk(await settled(), 'nor is one whose time is yet to come')
  utimesSync(path, back, back)
  t.notOk(await settled(), 'putting the time back is a change, too')
  await sleep(100)
  t.ok(await settled())
})
