/**
 * Files and disks that fail under every verb: each errno that a call's manual page allows, at each kind of file that the
 * verb touches. Every run must end in words, with a path and a way on; nothing is half-written, the store stays good, and
 * a last build has the bytes of the first.
 *
 * A run counts where strace(1) says that the fault was met. Needs root, and the network for a first build. Takes about three
 * quarters of an hour; `ERRORS=build,run` tries these verbs alone.
 *
 * Left out: `build --check` (its second build takes minutes, and is a build), and `store` on a build's own store.
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { sha256File } from '../../src/base/digests.js'
import { silent } from '../../src/base/progress.js'
import { verifyStore } from '../../src/store/verify.js'
import { startBuild } from '../support/builders/builder.js'
import { type Built, builtVerbs, makeBuilt } from '../support/faults/built-verbs.js'
import type { Verb } from '../support/faults/faulty.js'
import { Tally, tryVerb } from '../support/faults/tally.js'
import { makeFiles, smallVerbs } from '../support/faults/verbs.js'
import { needTools, seeded, seedOfRun, skipAloud } from '../support/tools.js'

const SMALL = ['init', 'validate', 'store ls', 'store prune', 'store verify']
const BUILT = ['plan', 'lock', 'build', 'build --artifacts', 'inspect', 'diff', 'run', 'test']

const asked = process.env['ERRORS']?.split(',') ?? [...SMALL, ...BUILT]
const random = seeded(seedOfRun())
const tally = new Tally()

t.setTimeout(7_200_000)

async function tryAll(t: Test, verbs: readonly Verb[]): Promise<void> {
  for (const verb of verbs.filter(({ name }) => asked.includes(name))) {
    await t.test(verb.name, async (t) => {
      await tryVerb(t, verb, random, tally)
      const { damage } = await verifyStore({ store: verb.opened, progress: silent })
      if (verb.storeWrong === undefined) tally.damaged += t.strictSame(damage, []) ? 0 : 1
    })
  }
}

async function lastBuild(t: Test, { files, store, sha256 }: Built): Promise<void> {
  await t.test('a build without faults has the bytes of the first', async (t) => {
    rmSync(files.out, { recursive: true, force: true })
    const { code, output } = await startBuild(store.folder, [files.profile, '--out', files.out]).ended
    t.equal(code, 0, output)
    t.equal((await sha256File(files.image)).sha256, sha256)
  })
}

if (process.getuid?.() !== 0) skipAloud(t, 'only root can build where strace(1) looks on')
else if (needTools(t, 'mmdebstrap', 'bwrap', 'unshare', 'strace')) {
  const parent = mkdtempSync(join(tmpdir(), 'keyvisor-errors-'))
  t.teardown(() => rmSync(parent, { recursive: true }))
  const folder = join(parent, 'f')
  mkdirSync(folder)
  const files = makeFiles(folder)
  await tryAll(t, await smallVerbs(files))
  // A test of its own, also while it builds: tap takes tests for ended that have nothing under way.
  if (BUILT.some((name) => asked.includes(name)))
    await t.test('verbs that need a build', async (t) => {
      const built = await makeBuilt(files)
      await tryAll(t, await builtVerbs(built))
      await lastBuild(t, built)
    })
  tally.report()
}
