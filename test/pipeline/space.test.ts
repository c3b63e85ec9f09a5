/** Estimates, free space, and what `plan` tells of the store: all before a build. */
import { mkdirSync, rmSync, statfsSync, truncateSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import t from 'tap'
import { sha256 } from '../../src/base/digests.js'
import { GiB, MiB, TiB } from '../../src/base/units.js'
import { foreseeLayout, payloadSizes } from '../../src/image/foresee.js'
import { checkSpace, storeNeed } from '../../src/pipeline/space.js'
import { imageParts, planStages, storedStages } from '../../src/pipeline/stages.js'
import { occupiedBytes } from '../../src/sources/image/disk.js'
import { foresee } from '../../src/store/foresee.js'
import type { Stage } from '../../src/store/stage.js'
import { type StageRecord, Store } from '../../src/store/store.js'
import { facts, plan, planned } from '../support/planned.js'

const STAGES = planStages(planned, facts)
const PARTS = imageParts(STAGES)
/** The bases that a stage makes: two more are files of the user's, of one byte each. */
const DISKS = Object.values(STAGES.bases).flatMap((base) => (base.kind === 'made' ? [base.stage] : []))

/** Puts a result of so many bytes, all holes, into the store, as if a stage had run. */
async function finish(store: Store, { key }: Stage, name: string, size: number): Promise<void> {
  const digest = sha256(`${key} ${size}`)
  mkdirSync(dirname(store.objectPath(digest)), { recursive: true })
  writeFileSync(store.objectPath(digest), '')
  truncateSync(store.objectPath(digest), size)
  await store.writeRecord(key, { stage: name, objects: { [name]: { sha256: digest, size } }, facts: {} })
}

/** The same of the library, of which the store has the head alone. */
async function finishLibrary(store: Store, size: number): Promise<void> {
  const { key } = STAGES.library
  await finish(store, STAGES.library, 'head', 100)
  const { objects, stage } = (await store.readRecord(key)) as StageRecord
  await store.writeRecord(key, { stage, objects, facts: { rootHash: 'ab'.repeat(32), size } })
}

async function finishAll(store: Store): Promise<void> {
  for (const tree of [STAGES.hostTree, ...Object.values(STAGES.beforeBases)]) {
    await finish(store, tree, 'tree', 10)
  }
  for (const disk of DISKS) await finish(store, disk, 'disk', 12)
  await finish(store, STAGES.loader, 'core', 1000)
  await finish(store, STAGES.esp, 'esp', 2000)
  await finish(store, STAGES.hostRoot, 'root', 3000)
  await finishLibrary(store, 4000)
  await finish(store, STAGES.settings, 'settings', 5000)
}

t.test('a stage is stored when its record and all its objects are', async (t) => {
  const store = await Store.open(t.testdir())
  const record = async () => (await foresee(storedStages(STAGES), store)).record(STAGES.esp)
  t.equal(await record(), undefined)
  await finish(store, STAGES.esp, 'esp', 2000)
  const found = await record()
  t.match(found, { objects: { esp: { size: 2000 } } })
  rmSync(store.objectPath(found?.objects['esp']?.sha256 as string))
  t.equal(await record(), undefined, 'its object is gone')
})

t.test('sizes are measured where a stage has run, and estimated elsewhere', async (t) => {
  const store = await Store.open(t.testdir())
  const { stick } = plan
  const before = await foresee(storedStages(STAGES), store)
  const estimated = payloadSizes(PARTS, before)
  t.equal(estimated.esp, stick.esp, 'the ESP is as large as its partition')
  t.ok(estimated.root > 100 * MiB && estimated.library > 100 * MiB)
  t.match(foreseeLayout(plan, PARTS, before), { estimated: true, diskGuid: '' })

  for (const disk of DISKS) await finish(store, disk, 'disk', MiB)
  const { library } = payloadSizes(PARTS, await foresee(storedStages(STAGES), store))
  t.ok(library > 4 * MiB && library < 5 * MiB, 'the library is its six bases and some more')

  await finishAll(store)
  const after = await foresee(storedStages(STAGES), store)
  t.strictSame(payloadSizes(PARTS, after), {
    biosBoot: 1000,
    esp: 2000,
    root: 3000,
    settings: 5000,
    library: 4000,
  })
  const layout = foreseeLayout({ ...plan, stick: { ...stick, minimumSize: 64 * GiB } }, PARTS, after)
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

t.test('no space is an error with the figures, before the first byte', async (t) => {
  const store = await Store.open(t.testdir())
  const { bavail, bsize } = statfsSync(store.folder)
  const huge = {
    ...facts,
    read: { ...facts.read, 'import.box.disk2': { isBase: false, occupied: bavail * bsize + GiB } },
  }
  await t.rejects(checkSpace({ stages: planStages(planned, huge) }, store, t.testdirName), {
    code: 'no-space',
    message: /^the store \(.*\) has [\d.]+[GMT]iB free, and the build needs up to [\d.]+[GT]iB$/,
    hint: /KEYVISOR_STORE/,
  })
  await finishAll(store)
  await finishLibrary(store, bavail * bsize + GiB)
  await t.rejects(checkSpace({ stages: STAGES }, store, t.testdirName), {
    message: /^the folder of the image/,
    hint: /--out/,
  })
  await finishLibrary(store, 4000)
  await t.resolves(checkSpace({ stages: STAGES }, store, t.testdirName), 'a full store needs no room')
})

t.test('the holes of an image need no room', async (t) => {
  const path = join(t.testdir(), 'sparse.raw')
  writeFileSync(path, Buffer.alloc(MiB, 1))
  truncateSync(path, 8 * TiB)
  const size = await occupiedBytes([path])
  t.ok(size >= MiB && size < 2 * MiB, `${size}`)
})
