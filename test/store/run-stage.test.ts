import { chmodSync, readdirSync, readFileSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { constants } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { type Json, sha256 } from '../../src/base/digests.js'
import { Interrupted, KeyvisorError } from '../../src/base/errors.js'
import type { ProgressEvent } from '../../src/base/progress.js'
import { systemTools } from '../../src/base/tool.js'
import { runStage, type StagePlace } from '../../src/store/run-stage.js'
import type { Stage, StageOutput, Workbench } from '../../src/store/stage.js'
import { Store } from '../../src/store/store.js'
import { stage } from '../support/stages.js'
import { needTools } from '../support/tools.js'

const INPUTS = { tree: 'ab', size: 1 }
const demo = stage('disk.counter', INPUTS)

async function freshRun(t: { testdir(): string }): Promise<StagePlace & { events: ProgressEvent[] }> {
  const events: ProgressEvent[] = []
  const store = await Store.open(join(t.testdir(), 'store'))
  const fetched = () => Promise.reject(new Error('nothing is fetched here'))
  const leaves = () => Promise.reject(new Error('nothing has leaves here'))
  return { store, events, progress: (event) => events.push(event), tools: systemTools, fetched, leaves }
}

type Work = (bench: Workbench) => Promise<StageOutput>

/** Runs the stage with that work. */
const runWith = (place: StagePlace, make: Work, what: Stage = demo) => runStage(place, { ...what, make }, {})

/** Work that writes a text, and counts how often it was done. */
function work(text: string, facts: Record<string, Json> = {}) {
  const made = { times: 0 }
  const make = async ({ scratch, note }: Workbench) => {
    made.times++
    note('at work')
    writeFileSync(join(scratch, 'disk'), text)
    return { files: { disk: join(scratch, 'disk') }, facts }
  }
  return { made, make }
}

const scratchOf = ({ store }: StagePlace) => readdirSync(join(store.folder, 'tmp'))

t.test('a stage is made once, and then taken from the store', async (t) => {
  if (!needTools(t, 'unshare')) return
  const run = await freshRun(t)
  const { made, make } = work('bytes', { rootHash: 'ab' })
  const first = await runWith(run, make)
  const second = await runWith(run, make)
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
  const { objects } = await runWith(run, make)
  const path = objects['disk']?.path as string
  chmodSync(path, 0o644)
  writeFileSync(path, 'bytez')
  t.strictSame((await runWith(run, make)).objects, objects)
  t.equal(made.times, 2)
  t.ok(await run.store.verified(sha256('bytes'), 5))
})

t.test('one flipped byte of a result is found before it is used', async (t) => {
  if (!needTools(t, 'unshare')) return
  const run = await freshRun(t)
  const { made, make } = work('a payload, or a packed tree')
  const { objects } = await runWith(run, make)
  const path = objects['disk']?.path as string
  const bytes = readFileSync(path)
  bytes[7] = (bytes[7] as number) ^ 1
  chmodSync(path, 0o644)
  writeFileSync(path, bytes)
  const again = await runWith(run, make)
  t.equal(made.times, 2)
  t.equal(readFileSync(again.objects['disk']?.path as string, 'utf8'), 'a payload, or a packed tree')
})

t.test('a reused result was used now; its record says of which stage, and no paths', async (t) => {
  if (!needTools(t, 'unshare')) return
  const run = await freshRun(t)
  const { make } = work('bytes')
  await runWith(run, make)
  const record = run.store.recordPath(demo.key)
  t.strictSame(JSON.parse(readFileSync(record, 'utf8')), {
    stage: 'disk.counter',
    objects: { disk: { sha256: sha256('bytes'), size: 5 } },
    facts: {},
  })
  const long = new Date('2020-01-01')
  utimesSync(record, long, long)
  await runWith(run, make)
  t.ok(Date.now() - statSync(record).mtimeMs < 60_000)
})

t.test('a full or failing disk is told as such, with what was being done', async (t) => {
  if (!needTools(t, 'unshare')) return
  const run = await freshRun(t)
  const failing = (error: Error) => runWith(run, () => Promise.reject(error))
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
  const failing = runWith(run, async ({ scratch }) => {
    writeFileSync(join(scratch, 'half'), 'half')
    throw new Error('no luck')
  })
  await t.rejects(failing, { message: 'no luck' })
  t.strictSame(scratchOf(run), [])
  t.equal(await run.store.readRecord(demo.key), undefined)
  t.match(run.events, [{ kind: 'start' }])
  const { make } = work('bytes')
  t.equal((await runWith(run, make)).objects['disk']?.size, 5, 'the next try works')
})

t.test('an interrupted build starts no further stage', async (t) => {
  const controller = new AbortController()
  const run = { ...(await freshRun(t)), signal: controller.signal }
  controller.abort(new Interrupted())
  const { made, make } = work('bytes')
  await t.rejects(runWith(run, make), { code: 'interrupted' })
  t.equal(made.times, 0)
  t.strictSame(run.events, [])
})

t.test('two builds that make the same at once both get it', async (t) => {
  if (!needTools(t, 'unshare')) return
  const run = await freshRun(t)
  const { make } = work('bytes')
  const both = await Promise.all([runWith(run, make), runWith(run, make)])
  t.strictSame(both[0], both[1])
  t.ok(await run.store.verified(sha256('bytes'), 5))
})

t.test('what has secrets in it is for the eyes of its owner, while it is made and after', async (t) => {
  const run = await freshRun(t)
  const modes: number[] = []
  const { make } = work('secret')
  const done = await runWith(run, async (bench) => {
    modes.push(statSync(bench.scratch).mode & 0o777)
    return { ...(await make(bench)), isPrivate: true }
  })
  t.strictSame(modes, [0o700])
  t.equal(statSync(done.objects['disk']?.path as string).mode & 0o777, 0o400)
})

t.test('tools see scratch and store, have the epoch of the inputs, and end with the build', async (t) => {
  const controller = new AbortController()
  const place = { ...(await freshRun(t)), signal: controller.signal }
  const seen: object[] = []
  const tools = {
    argv: () => [],
    run: async (call: object) => {
      seen.push(call)
      return { stdout: '', stderr: '' }
    },
  }
  let folder = ''
  const make = async (bench: Workbench) => {
    folder = bench.scratch
    await bench.tools.run({ tool: 'true', args: [] })
    return { files: {} }
  }
  await runStage({ ...place, tools }, { ...stage('disk.a', { epoch: 7 }), make }, {})
  await runStage({ ...place, tools }, { ...stage('import.a'), make }, {})
  const binds = (scratch: string) => [{ path: scratch, write: true }, { path: place.store.folder }]
  t.match(seen[0], { env: { SOURCE_DATE_EPOCH: '7' }, signal: controller.signal })
  t.strictSame((seen[1] as { env: object }).env, {}, 'no epoch where none is in the key')
  t.strictSame((seen[1] as { binds: object[] }).binds, binds(folder))
})
