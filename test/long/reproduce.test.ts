/**
 * Builds of the demo from one lock give the same bytes, whoever builds, where and when. Each build differs from the
 * first in what it says; the closing line names all that was varied. Some twenty minutes.
 */
import { chmodSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { sha256File } from '../../src/base/digests.js'
import { packageFile } from '../../src/base/package.js'
import { silent } from '../../src/base/progress.js'
import type { Lock } from '../../src/lock/types.js'
import { prepare } from '../../src/prepare/prepare.js'
import { Store, storeFolder } from '../../src/store/store.js'
import { startBuild } from '../support/builders/builder.js'
import {
  BUILDER_SYSTEMS,
  type Elsewhere,
  isThisSystem,
  memoryFolder,
  ONE_CORE,
  OTHER_HABITS,
  OTHER_HOST_NAME,
  otherClock,
  otherSystem,
  otherUser,
  otherYear,
  packagesFrom,
  together,
  yearsSeen,
} from '../support/builders/elsewhere.js'
import { needTools, ODD_NAME, skipAloud } from '../support/tools.js'

t.setTimeout(3_600_000)

const folder = mkdtempSync(join(tmpdir(), 'keyvisor-reproduce-'))
t.teardown(() => rmSync(folder, { recursive: true, force: true }))

const profile = packageFile('profiles/demo.yaml')
const lock = join(folder, 'demo.lock.json')
const digests: string[] = []
const varied = new Set<string>()

interface Place {
  /** Folder of the image. */
  out: string
  store: string
}

/** Builds, says what differed, and compares with the first build. */
async function build(
  t: Test,
  { out, store }: Place,
  elsewhere: Elsewhere,
  more: string[] = [],
): Promise<void> {
  const started = Date.now()
  const words = [...more, ...elsewhere.varied]
  const { options } = elsewhere
  const args = [profile, '--lock', lock, '--out', out]
  const { code, output } = await startBuild(store, args, { ...options, cwd: '/' }).ended
  t.equal(code, 0, output)
  const { sha256 } = await sha256File(join(out, 'demo.img'))
  console.error(
    `# ${sha256} in ${Math.round((Date.now() - started) / 1000)} s: ${words.join(', ') || 'the first'}`,
  )
  for (const word of words) varied.add(word)
  digests.push(sha256)
  t.equal(sha256, digests[0])
}

/** A new folder whose store has the lock's packages and nothing else. */
async function seeded(name: string, below = folder): Promise<Place> {
  const place = { out: join(below, name, 'out'), store: join(below, name, 'store') }
  mkdirSync(join(below, name))
  await packagesFrom(
    JSON.parse(readFileSync(lock, 'utf8')) as Lock,
    join(folder, 'one', 'store'),
    place.store,
  )
  return place
}

if (needTools(t, 'mmdebstrap', 'bwrap', 'unshare', 'setpriv', 'taskset')) {
  // The user must reach the lock and a folder of their own.
  chmodSync(folder, 0o755)
  const shared = { store: await Store.open(storeFolder()), progress: silent }
  cpSync((await prepare({ profile }, shared)).lockFile, lock)
  chmodSync(lock, 0o644)
  const same = together()

  await t.test('from an empty store', (t) =>
    build(t, { out: join(folder, 'one', 'out'), store: join(folder, 'one', 'store') }, same),
  )

  await t.test('with other habits, in a folder with an odd name', async (t) => {
    await build(t, await seeded(ODD_NAME), together(OTHER_HOST_NAME, OTHER_HABITS), ['working folder'])
  })

  await t.test('as an ordinary user, whose home is closed to others', async (t) => {
    const home = join(folder, 'home')
    const user = await otherUser(join(folder, 'user'), home)
    if (!user) return skipAloud(t, 'only root, in a folder that others can read, can become another user')
    await build(t, { out: join(home, 'out'), store: join(home, 'store') }, user)
  })

  await t.test('at another time', async (t) => {
    const clock = await otherClock(join(folder, 'clock'))
    if (!clock) return skipAloud(t, 'only root, with gcc, can build at another time')
    await build(t, await seeded('later'), clock)
    t.strictSame(yearsSeen(join(folder, 'clock')), [otherYear(), otherYear()], 'the clock was in both trees')
  })

  for (const system of BUILDER_SYSTEMS) {
    if (isThisSystem(system)) continue
    await t.test(`on ${system.title}, which has another mmdebstrap`, async (t) => {
      const other = await otherSystem(system, join(folder, system.suite), folder)
      if (!other) return skipAloud(t, 'only root can build in another system')
      await build(t, await seeded(`on ${system.suite}`), other)
    })
  }

  await t.test('with one core, in memory', async (t) => {
    const memory = memoryFolder()
    if (!memory) return skipAloud(t, '/dev/shm has no room for a store')
    const below = mkdtempSync(join(memory, 'keyvisor-reproduce-'))
    t.teardown(() => rmSync(below, { recursive: true, force: true }))
    if (!ONE_CORE) skipAloud(t, 'this machine has one core')
    await build(t, await seeded('memory', below), together(ONE_CORE), ['tmpfs'])
  })

  await t.test('from full stores', async (t) => {
    await build(t, { out: join(folder, 'two'), store: join(folder, 'one', 'store') }, same, ['full store'])
    await build(t, { out: join(folder, 'three'), store: storeFolder() }, same, ['shared store'])
  })

  console.error(
    `# ${digests.length} builds, ${new Set(digests).size} digest; varied: ${[...varied].join(', ')}`,
  )
}
