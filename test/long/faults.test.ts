/**
 * Disks that get full or fail while a stage writes. The store and the image are on a tmpfs that becomes too small as the
 * stage begins (ENOSPC), or strace(1) answers a system call of the builder or its tools with EIO. Each time the build
 * must end with words, and leave a store in which nothing is damaged; a last build has the bytes of the first.
 *
 * Needs root, some 6 GiB of memory, and the network, for the packages that are forgotten. Takes about half an hour;
 * `FAULTS=esp,image` tries these stages alone.
 */
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { statfs } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { sha256File } from '../../src/base/digests.js'
import { packageFile } from '../../src/base/package.js'
import { silent } from '../../src/base/progress.js'
import { systemTools } from '../../src/base/tool.js'
import { type Bytes, GiB, KiB, MiB } from '../../src/base/units.js'
import { fetchDebs } from '../../src/lock/fetch.js'
import { planBuild } from '../../src/pipeline/plan-build.js'
import type { Stages } from '../../src/pipeline/stages.js'
import { Store, storeFolder } from '../../src/store/store.js'
import { verifyStore } from '../../src/store/verify.js'
import { type BuildProcess, forget, PROGRAM, startBuild } from '../support/builders/builder.js'
import { needTools, seeded, seedOfRun, skipAloud } from '../support/tools.js'

/** Each stage of the smallest profile, and the least that it writes where its tree lies in memory: it is left less. */
const WRITTEN: Record<string, Bytes> = {
  fetch: 4 * MiB,
  tools: 90 * MiB,
  'tree.host': 150 * MiB,
  root: 150 * MiB,
  library: 12 * KiB,
  loader: 128 * KiB,
  esp: 30 * MiB,
  settings: 512 * KiB,
  image: 180 * MiB,
}

/** What is answered with EIO: the first of these calls in any thread. An unpacked tools tree is not fsynced. */
const CALLS: Record<string, string[]> = {
  fetch: ['fsync'],
  tools: ['rename'],
  'tree.host': ['fsync', 'rename'],
  root: ['fsync', 'pwrite64'],
  library: ['fsync', 'rename'],
  loader: ['fsync'],
  esp: ['fsync', 'rename'],
  settings: ['fsync', 'rename'],
  image: ['fsync', 'rename', 'pwrite64'],
}

const SIZE: Bytes = 8 * GiB

const asked = process.env['FAULTS']?.split(',') ?? Object.keys(WRITTEN)
const random = seeded(seedOfRun())
const folder = mkdtempSync(join(tmpdir(), 'keyvisor-faults-'))
const out = join(folder, 'out')
const lock = join(folder, 'minimal.lock.json')
const profile = packageFile('profiles/minimal.yaml')
const image = join(out, 'minimal.img')
const counts = new Map<string, number>()

t.setTimeout(7_200_000)

const mount = (...args: string[]) => systemTools.run({ tool: 'mount', args })
const resize = (size: Bytes) => mount('-o', `remount,size=${size}`, folder)

/** Leaves the tmpfs room for so many bytes. It is refused where the build has written more since it was asked: asked anew. */
async function leave(bytes: Bytes): Promise<void> {
  const usedBytes = async () => {
    const { blocks, bfree, bsize } = await statfs(folder)
    return (blocks - bfree) * bsize
  }
  for (;;) {
    const used = await usedBytes()
    try {
      await resize(used + bytes)
      return
    } catch (error) {
      if ((await usedBytes()) <= used + bytes) throw error
    }
  }
}

/** The store in the tmpfs, with every package of the lock: only what a test forgets is fetched. */
async function prepared(): Promise<{ store: Store; stages: Stages }> {
  await mount('-t', 'tmpfs', '-o', `size=${SIZE}`, 'tmpfs', folder)
  t.teardown(async () => {
    await systemTools.run({ tool: 'umount', args: [folder] })
    rmSync(folder, { recursive: true })
  })
  mkdirSync(out)
  const shared = { store: await Store.open(storeFolder()), progress: silent }
  const first = await planBuild({ profile }, shared)
  cpSync(first.lockFile, lock)
  await fetchDebs(first, ['tools.pack', 'host'], shared)
  const store = await Store.open(join(folder, 'store'))
  for (const { sha256 } of Object.values(first.lock.packages)) {
    const target = store.objectPath(sha256)
    mkdirSync(join(target, '..'), { recursive: true })
    cpSync(shared.store.objectPath(sha256), target)
  }
  return { store, stages: first.stages }
}

/** One build that must fail because of the disk, in the stage. */
async function mustFail(
  t: Test,
  { store, stages }: { store: Store; stages: Stages },
  stage: string,
  codes: string[],
  start: () => BuildProcess,
): Promise<void> {
  await resize(SIZE)
  rmSync(out, { recursive: true })
  mkdirSync(out)
  await forget(store, stages, stage)
  const { code, output } = await start().ended
  await resize(SIZE)
  t.equal(code, 1, output)
  const error = JSON.parse(output.split('\n').findLast((line) => line.startsWith('{"kind":"error"')) ?? '{}')
  t.ok(codes.includes(error.code), `it says ${error.code}: ${String(error.message).split('\n')[0]}`)
  t.ok(error.hint, 'and what to do')
  t.strictSame(
    readdirSync(out).filter((name) => !name.startsWith('.')),
    [],
    'nothing under a final name',
  )
  const { damage } = await verifyStore({ store, progress: silent })
  t.strictSame(damage, [], 'nothing in the store is damaged')
  // A stage that was quicker than the disk got small leaves the fault to the next one.
  const hit = /, at this: (.*)/.exec(error.message)?.[1] ?? stage
  counts.set(hit, (counts.get(hit) ?? 0) + 1)
}

const build = [profile, '--lock', lock, '--out', out]

/** A build on a disk that gets full a moment after the stage began. */
function full(store: Store, stage: string): BuildProcess {
  const room = random(WRITTEN[stage] as number)
  console.error(`# ${stage}: ${Math.round(room / KiB)} KiB left`)
  return startBuild(store.folder, build, {
    onEvent(event) {
      if (event.kind === 'start' && event.stage === stage) leave(room)
    },
  })
}

/** A build whose first such call fails. Everything before the stage is in the store: the call is the stage's. */
function failing(store: Store, call: string): BuildProcess {
  const strace = ['strace', '-f', '--seccomp-bpf', '-qq', '-o', '/dev/null', '-e', `trace=${call}`]
  const prefix = [...strace, '-e', `inject=${call}:error=EIO:when=1`]
  return startBuild(store.folder, build, { prefix })
}

if (process.getuid?.() !== 0) skipAloud(t, 'only root can make a tmpfs')
else if (needTools(t, 'mmdebstrap', 'bwrap', 'unshare', 'mount', 'strace')) {
  if (!existsSync(PROGRAM)) throw new Error(`${PROGRAM} is missing: npm run build`)
  const made = await prepared()
  let digest = ''

  await t.test('a first build', async (t) => {
    const { code, output } = await startBuild(made.store.folder, build).ended
    t.equal(code, 0, output)
    digest = (await sha256File(image)).sha256
  })

  for (const stage of asked) {
    await t.test(`ENOSPC in ${stage}`, (t) =>
      mustFail(t, made, stage, ['no-space'], () => full(made.store, stage)),
    )
    for (const call of CALLS[stage] ?? []) {
      await t.test(`EIO of ${call} in ${stage}`, (t) =>
        // A tool that was hit says in its own words what failed.
        mustFail(t, made, stage, ['disk-failed', 'tool-failed'], () => failing(made.store, call)),
      )
    }
  }
  console.error('# faults by stage:')
  for (const [stage, count] of counts) console.error(`#   ${stage}: ${count}`)

  await t.test('a build on a sound disk succeeds, with the same bytes', async (t) => {
    const { code, output } = await startBuild(made.store.folder, build).ended
    t.equal(code, 0, output)
    t.equal((await sha256File(image)).sha256, digest)
    t.strictSame(readdirSync(join(made.store.folder, 'tmp')), [])
    t.strictSame(readdirSync(out).sort(), ['minimal.img', 'minimal.manifest.json'])
  })
}
