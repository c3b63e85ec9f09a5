/**
 * Builds that are ended at 50 random moments, spread over every stage: by kill -9, and once in each stage by Ctrl-C. What
 * is signalled is the builder alone; its children are its own affair. The next build after each makes the bytes that a
 * build from the shared store makes. The store begins as an empty one, so that every stage runs. Takes about half an
 * hour; `KILLS=10` is a shorter one. `SEED=…` runs the same moments again.
 */
import { cpSync, existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { sha256File } from '../../src/base/digests.js'
import { packageFile } from '../../src/base/package.js'
import { silent } from '../../src/base/progress.js'
import { planBuild } from '../../src/pipeline/plan-build.js'
import { Store, storeFolder } from '../../src/store/store.js'
import { verifyStore } from '../../src/store/verify.js'
import { forget, PROGRAM, processesWith, sleep, startBuild } from '../support/builders/builder.js'
import { needTools, seeded, seedOfRun } from '../support/tools.js'

/** Each stage, and the longest moment in milliseconds after its start: most of what it takes on two cores. */
const MOMENTS: [stage: string, longest: number][] = [
  ['fetch', 3000],
  ['tools', 1500],
  ['tree.counter', 8000],
  ['tree.host', 20_000],
  ['disk.counter', 6000],
  ['disk.forgetful', 6000],
  ['root', 6000],
  ['library', 1500],
  ['esp', 600],
  ['settings', 200],
  ['image', 400],
]

/** Rounds of kill -9. */
const KILLS = Number(process.env['KILLS'] ?? 50)

/** What a build may take to end, with all its children. */
const PATIENCE = 5000

const random = seeded(seedOfRun())
const folder = packageFile(`out/test/kills-${process.pid}`)
const store = join(folder, 'store')
const out = join(folder, 'out')
const lock = join(folder, 'demo.lock.json')
const profile = packageFile('profiles/demo.yaml')
const IMAGE = 'demo.img'
const FINALS = [IMAGE, 'demo.manifest.json']
const build = [profile, '--lock', lock, '--out', out]

t.setTimeout(7_200_000)
t.teardown(() => rmSync(folder, { recursive: true, force: true }))

interface Round {
  /** Milliseconds after the stage's start when the signal was sent; null when the stage had ended by then. */
  moment: number | null
  code: number | null
  signal: NodeJS.Signals | null
  output: string
  left: string[]
  seconds: number
}

/** One build, ended in a stage. */
async function killIn(stage: string, longest: number, signal: NodeJS.Signals): Promise<Round> {
  const moment = random(longest)
  let sent = 0
  let inside = false
  const strike = () => {
    if (sent) return
    sent = Date.now()
    started.child.kill(signal)
  }
  const started = startBuild(store, build, {
    onEvent: (event) => {
      if (event.kind !== 'start' && event.kind !== 'end') return
      if (event.stage !== stage) return
      if (event.kind === 'start') {
        inside = true
        setTimeout(strike, moment)
      } else if (!sent) {
        inside = false
        strike()
      }
    },
  })
  const ended = await started.ended
  if (!sent) throw new Error(`the build ended before ${stage}: ${ended.output}`)
  let left = processesWith(store)
  while (left.length > 0 && Date.now() - sent < PATIENCE) {
    await sleep(50)
    left = processesWith(store)
  }
  return { ...ended, left, moment: inside ? moment : null, seconds: (Date.now() - sent) / 1000 }
}

if (needTools(t, 'mmdebstrap', 'bwrap', 'unshare')) {
  if (!existsSync(PROGRAM)) throw new Error(`${PROGRAM} is missing: npm run build`)
  mkdirSync(out, { recursive: true })
  const shared = { store: await Store.open(storeFolder()), progress: silent }
  const { stages, lockFile } = await planBuild({ profile }, shared)
  cpSync(lockFile, lock)

  const own = await Store.open(store)
  const other = join(folder, 'other')
  const reference = await startBuild(storeFolder(), [profile, '--lock', lock, '--out', other]).ended
  if (reference.code !== 0) throw new Error(reference.output)
  const expected = await bytesIn(other)
  const hits = new Map<string, number[]>(MOMENTS.map(([stage]) => [stage, []]))
  const round = (signal: NodeJS.Signals, stage: string, longest: number) =>
    t.test(`${signal} in ${stage}`, async (t) => {
      await forget(own, stages, stage)
      const round = await killIn(stage, longest, signal)
      if (signal === 'SIGKILL') hits.get(stage)?.push(round.moment ?? longest)
      const when = round.moment === null ? 'at its end' : `${round.moment} ms after its start`
      console.error(`# ${signal} in ${stage}, ${when}: gone after ${round.seconds.toFixed(2)} s`)
      t.strictSame(round.left, [], 'no process is left')
      if (signal === 'SIGINT') t.equal(round.code, 130, round.output)
      else t.equal(round.signal, 'SIGKILL', round.output)
      // The image has its name when its stage ends, and is whole; the manifest comes after it.
      const made = stage === 'image' && round.moment === null ? finals().filter((name) => name === IMAGE) : []
      t.strictSame(finals(), made, 'nothing else is under a final name')
      for (const name of made)
        t.ok(expected.includes((await sha256File(join(out, name))).sha256), 'it is whole')
      const { damage } = await verifyStore({ store: own, progress: silent })
      t.strictSame(damage, [], 'nothing in the store is damaged')
      await nextBuild(t)
    })

  /** It mends everything, and leaves an empty folder for the next round. */
  const nextBuild = async (t: Test) => {
    const next = await startBuild(store, build).ended
    t.equal(next.code, 0, next.output)
    t.strictSame(await bytesIn(out), expected, 'the next build has the same bytes')
    t.strictSame(readdirSync(out).sort(), FINALS, 'and no file of a killed build is left beside them')
    t.strictSame(readdirSync(join(store, 'tmp')), [], 'nor in the store')
    for (const file of FINALS) rmSync(join(out, file), { force: true })
  }

  for (const [stage, longest] of MOMENTS) await round('SIGINT', stage, longest)
  for (let index = 0; index < KILLS; index++) {
    const [stage, longest] = MOMENTS[index % MOMENTS.length] as [string, number]
    await round('SIGKILL', stage, longest)
  }
  console.error('# kill -9, by stage: how often, and at which milliseconds')
  for (const [stage, moments] of hits)
    console.error(`#   ${stage}: ${moments.length} (${moments.join(', ')})`)
}

/** The manifest first: it names the payload that differs. */
async function bytesIn(folder: string): Promise<string[]> {
  const digests = FINALS.toReversed().map((file) => sha256File(join(folder, file)))
  return (await Promise.all(digests)).map(({ sha256 }) => sha256)
}

function finals(): string[] {
  return readdirSync(out)
    .filter((name) => !name.startsWith('.'))
    .sort()
}
