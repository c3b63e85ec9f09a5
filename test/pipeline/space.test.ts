/** Estimates, free space, and what `plan` tells of the store: all before a build. */
import { mkdirSync, readFileSync, rmSync, statfsSync, truncateSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import t from 'tap'
import { sha256 } from '../../src/base/digests.js'
import { GiB, MiB, TiB } from '../../src/base/units.js'
import { foreseeLayout, payloadSizes, sourceSize, storedStage } from '../../src/pipeline/estimate.js'
import type { PlannedBuild } from '../../src/pipeline/plan-build.js'
import { checkSpace, storeNeed } from '../../src/pipeline/space.js'
import { type Stage, stage } from '../../src/pipeline/stage.js'
import type { Stages } from '../../src/pipeline/stages.js'
import type { GuestPlan, Plan } from '../../src/plan/types.js'
import { Store } from '../../src/store/store.js'

const FULL = JSON.parse(
  readFileSync(new URL('../../fixtures/plan/full.plan.json', import.meta.url), 'utf8'),
) as Plan
const debian = FULL.guests.find(({ source }) => source.kind === 'debian') as GuestPlan
const PLAN: Plan = { ...FULL, guests: [debian], stick: { ...FULL.stick, minimumSize: 64 * GiB } }

const make = (name: string) => stage(name, 1, name, {})
const STAGES: Stages = {
  hostTree: make('tree.host'),
  hostRoot: make('root'),
  guestTrees: { [debian.name]: stage('tree.a', 1, 'a', { a: 1 }) },
  guestDisks: { [debian.name]: make('disk.a') },
  library: make('library'),
  loader: make('loader'),
  esp: make('esp'),
  image: make('image'),
}

/** Puts a result of so many bytes into the store, as a stage that has run. */
async function finish(store: Store, { key }: Stage, name: string, size: number): Promise<void> {
  const bytes = Buffer.alloc(size, key)
  const digest = sha256(bytes)
  mkdirSync(dirname(store.objectPath(digest)), { recursive: true })
  writeFileSync(store.objectPath(digest), bytes)
  await store.writeRecord(key, { stage: name, objects: { [name]: { sha256: digest, size } }, facts: {} })
}

async function finishAll(store: Store): Promise<void> {
  await finish(store, STAGES.hostTree, 'tree', 10)
  await finish(store, STAGES.guestTrees[debian.name] as Stage, 'tree', 11)
  await finish(store, STAGES.guestDisks[debian.name] as Stage, 'disk', 12)
  await finish(store, STAGES.loader, 'core', 1000)
  await finish(store, STAGES.esp, 'esp', 2000)
  await finish(store, STAGES.hostRoot, 'root', 3000)
  await finish(store, STAGES.library, 'library', 4000)
}

t.test('a stage is stored when its record and all its objects are', async (t) => {
  const store = await Store.open(t.testdir())
  t.equal(await storedStage(store, STAGES.esp), undefined)
  await finish(store, STAGES.esp, 'esp', 2000)
  const record = await storedStage(store, STAGES.esp)
  t.match(record, { objects: { esp: { size: 2000 } } })
  rmSync(store.objectPath(record?.objects['esp']?.sha256 as string))
  t.equal(await storedStage(store, STAGES.esp), undefined, 'its object is gone')
})

t.test('sizes are measured where a stage has run, and estimated elsewhere', async (t) => {
  const store = await Store.open(t.testdir())
  const before = await payloadSizes(PLAN, STAGES, store)
  t.equal(before.esp, PLAN.stick.esp, 'the ESP is as large as its partition')
  t.ok(before.root > 100 * MiB && before.library > 100 * MiB)
  t.match(await foreseeLayout(PLAN, STAGES, store), { estimated: true, diskGuid: '' })

  await finish(store, STAGES.guestDisks[debian.name] as Stage, 'disk', MiB)
  const between = await payloadSizes(PLAN, STAGES, store)
  t.ok(between.library > 2 * MiB && between.library < 3 * MiB, 'the library is its disks and some more')

  await finishAll(store)
  t.strictSame(await payloadSizes(PLAN, STAGES, store), {
    ...{ biosBoot: 1000, esp: PLAN.stick.esp, root: 3000, library: 4000 },
  })
  const layout = await foreseeLayout(PLAN, STAGES, store)
  t.equal(layout.estimated, false)
  t.match(layout.diskGuid, /^[0-9a-f-]{36}$/)
})

t.test('what a store needs: results, and the scratch of two stages at once', async (t) => {
  t.equal(storeNeed([]), 0)
  const needs = [
    { scratch: 100 * MiB, result: 1 * MiB },
    { scratch: 300 * MiB, result: 2 * MiB },
    { scratch: 200 * MiB, result: 3 * MiB },
  ]
  const margin = storeNeed([{ scratch: 0, result: 0 }])
  t.equal(storeNeed(needs) - margin, (300 + 200 + 6) * MiB)
})

const prepared = (plan: Plan) => ({ plan, stages: STAGES }) as PlannedBuild

t.test('no space is an error with the figures, before the first byte', async (t) => {
  const store = await Store.open(t.testdir())
  const { bavail, bsize } = statfsSync(store.folder)
  const huge = { ...PLAN, stick: { ...PLAN.stick, esp: bavail * bsize + GiB } }
  await t.rejects(checkSpace(prepared(huge), store, t.testdirName), {
    code: 'no-space',
    message: /^the store \(.*\) has [\d.]+[GMT]iB free, and the build needs up to [\d.]+[GT]iB$/,
    hint: /KEYVISOR_STORE/,
  })
  await finishAll(store)
  await t.rejects(checkSpace(prepared(huge), store, t.testdirName), {
    message: /^the folder of the image/,
    hint: /--out/,
  })
  await t.resolves(checkSpace(prepared(PLAN), store, t.testdirName), 'a full store needs no room')
})

t.test('the holes of an image need no room', async (t) => {
  const path = join(t.testdir(), 'sparse.raw')
  writeFileSync(path, Buffer.alloc(MiB, 1))
  truncateSync(path, 8 * TiB)
  const size = await sourceSize({ ...debian, source: { ...debian.source, kind: 'image', path } } as GuestPlan)
  t.ok(size >= MiB && size < 2 * MiB, `${size}`)
})
