import { chmodSync, readdirSync, readFileSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { constants } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { type Json, sha256 } from '../../src/base/digests.js'
import { Interrupted, KeyvisorError } from '../../src/base/errors.js'
import type { ProgressEvent } from '../../src/base/progress.js'
import { runStage, stage } from '../../src/pipeline/stage.js'
import { Store } from '../../src/store/store.js'
import type { Workplace } from '../../src/store/workplace.js'
import { needTools } from '../support/tools.js'

const demo = stage('disk.counter', 1, 'make a disk', { tree: 'ab', size: 1 })

async function freshRun(t: { testdir(): string }): Promise<Workplace & { events: ProgressEvent[] }> {
  const events: ProgressEvent[] = []
  const store = await Store.open(join(t.testdir(), 'store'))
  return { store, events, progress: (event) => events.push(event) }
}

/** Work that writes a text, and counts how often it was done. */
function work(text: string, facts: Record<string, Json> = {}) {
  const made = { times: 0 }
  const make = async (scratch: string, note: (line: string) => void) => {
    made.times++
    note('at work')
    writeFileSync(join(scratch, 'disk'), text)
    return { files: { disk: join(scratch, 'disk') }, facts }
  }
  return { made, make }
}

const scratchOf = ({ store }: Workplace) => readdirSync(join(store.folder, 'tmp'))

t.test('a key changes with everything that can change the bytes', async (t) => {
  const inputs = { tree: 'ab', size: 1 }
  t.equal(stage('disk.counter', 1, 'another title', { size: 1, tree: 'ab' }).key, demo.key)
  t.equal(stage('disk.other', 1, '', inputs).key, demo.key, 'equal work of another guest is the same work')
  const others = [
    stage('tree.counter', 1, '', inputs),
    stage('disk.counter', 2, '', inputs),
    stage('disk.counter', 1, '', { ...inputs, size: 2 }),
    stage('disk.counter', 1, '', { ...inputs, more: null }),
    stage('disk.counter', 1, '', { size: 1 }),
  ]
  t.equal(new Set([demo, ...others].map(({ key }) => key)).size, 6)
})

t.test('a stage is made once, and then taken from the store', async (t) => {
  if (!needTools(t, 'unshare')) return
  const run = await freshRun(t)
  const { made, make } = work('bytes', { rootHash: 'ab' })
  const first = await runStage(run, demo, make)
  const second = await runStage(run, demo, make)
  t.equal(made.times, 1)
  t.strictSame(second, first)
  t.strictSame(first.facts, { rootHash: 'ab' })
  t.equal(first.objects['disk']?.sha256, sha256('bytes'))
  t.match(run.events, [
    { kind: 'start', stage: 'disk.counter', title: 'make a disk' },
    { kind: 'note', text: 'at work' },
    { kind: 'end', reused: false },
    { kind: 'start' },
    { kind: 'end', reused: true },
  ])
  t.strictSame(scratchOf(run), [])
})

t.test('a damaged or lost object is made anew', async (t) => {
  if (!needTools(t, 'unshare')) return
  const run = await freshRun(t)
  const { made, make } = work('bytes')
  const { objects } = await runStage(run, demo, make)
  const path = objects['disk']?.path as string
  chmodSync(path, 0o644)
  writeFileSync(path, 'bytez')
  t.strictSame((await runStage(run, demo, make)).objects, objects)
  t.equal(made.times, 2)
  t.ok(await run.store.verified(sha256('bytes'), 5))
})

t.test('one flipped byte of a result is found before it is used', async (t) => {
  if (!needTools(t, 'unshare')) return
  const run = await freshRun(t)
  const { made, make } = work('a payload, or a packed tree')
  const { objects } = await runStage(run, demo, make)
  const path = objects['disk']?.path as string
  const bytes = readFileSync(path)
  bytes[7] = (bytes[7] as number) ^ 1
  chmodSync(path, 0o644)
  writeFileSync(path, bytes)
  const again = await runStage(run, demo, make)
  t.equal(made.times, 2)
  t.equal(readFileSync(again.objects['disk']?.path as string, 'utf8'), 'a payload, or a packed tree')
})

t.test('a reused result was used now; its record says of which stage, and no paths', async (t) => {
  if (!needTools(t, 'unshare')) return
  const run = await freshRun(t)
  const { make } = work('bytes')
  await runStage(run, demo, make)
  const record = run.store.recordPath(demo.key)
  t.strictSame(JSON.parse(readFileSync(record, 'utf8')), {
    stage: 'disk.counter',
    objects: { disk: { sha256: sha256('bytes'), size: 5 } },
    facts: {},
  })
  const long = new Date('2020-01-01')
  utimesSync(record, long, long)
  await runStage(run, demo, make)
  t.ok(Date.now() - statSync(record).mtimeMs < 60_000)
})

t.test('a full or failing disk is told as such, with what was being done', async (t) => {
  if (!needTools(t, 'unshare')) return
  const run = await freshRun(t)
  const failing = (error: Error) => runStage(run, demo, () => Promise.reject(error))
  const errno = (code: string) =>
    Object.assign(new Error(`${code}: no luck, write`), {
      code,
      errno: -constants.errno[code as 'EIO'],
      syscall: 'write',
    })
  const tool = (text: string) => new KeyvisorError('tool-failed', `mksquashfs failed\n  | ${text}`)
  const place = run.store.folder
  const full = {
    code: 'no-space',
    message: `${place} cannot be written: the disk got full, at this: make a disk`,
    hint: /store prune/,
  }
  const broken = { code: 'disk-failed', message: /^the disk failed, at this: make a disk\n/, hint: /dmesg/ }
  await t.rejects(failing(errno('ENOSPC')), full)
  await t.rejects(failing(tool('cp: error writing: Input/output error')), broken)
  await t.rejects(failing(errno('EACCES')), { code: 'no-access', hint: /ls -ld/ })
  await t.rejects(failing(tool('no such option')), { code: 'tool-failed' })
  const own = new KeyvisorError('bad-words', 'No space left on device')
  await t.rejects(failing(own), { code: 'bad-words' }, 'what is told already is not told anew')
})

t.test('a stage that fails leaves no scratch, no record, and its own error', async (t) => {
  if (!needTools(t, 'unshare')) return
  const run = await freshRun(t)
  const failing = runStage(run, demo, async (scratch) => {
    writeFileSync(join(scratch, 'half'), 'half')
    throw new Error('no luck')
  })
  await t.rejects(failing, { message: 'no luck' })
  t.strictSame(scratchOf(run), [])
  t.equal(await run.store.readRecord(demo.key), undefined)
  t.match(run.events, [{ kind: 'start' }])
  const { make } = work('bytes')
  t.equal((await runStage(run, demo, make)).objects['disk']?.size, 5, 'the next try works')
})

t.test('an interrupted build starts no further stage', async (t) => {
  const controller = new AbortController()
  const run = { ...(await freshRun(t)), signal: controller.signal }
  controller.abort(new Interrupted())
  const { made, make } = work('bytes')
  await t.rejects(runStage(run, demo, make), { code: 'interrupted' })
  t.equal(made.times, 0)
  t.strictSame(run.events, [])
})

t.test('two builds that make the same at once both get it', async (t) => {
  if (!needTools(t, 'unshare')) return
  const run = await freshRun(t)
  const { make } = work('bytes')
  const both = await Promise.all([runStage(run, demo, make), runStage(run, demo, make)])
  t.strictSame(both[0], both[1])
  t.ok(await run.store.verified(sha256('bytes'), 5))
})

t.test('what has secrets in it is for the eyes of its owner, while it is made and after', async (t) => {
  const run = await freshRun(t)
  const modes: number[] = []
  const { make } = work('secret')
  const done = await runStage(run, demo, async (scratch, note) => {
    modes.push(statSync(scratch).mode & 0o777)
    return { ...(await make(scratch, note)), isPrivate: true }
  })
  t.strictSame(modes, [0o700])
  t.equal(statSync(done.objects['disk']?.path as string).mode & 0o777, 0o400)
})
