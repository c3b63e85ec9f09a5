/**
 * A sample of `test/long/errors.test.ts`: some calls of verbs that need no build fail, and each run ends in words.
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { Tally, tryVerb } from '../support/faults/tally.js'
import { makeFiles, smallVerbs } from '../support/faults/verbs.js'
import { needTools, seeded, seedOfRun } from '../support/tools.js'

/** Faults of each verb, of some forty. */
const SAMPLE = 3

const random = seeded(seedOfRun())
const tally = new Tally()

if (needTools(t, 'strace', 'unshare')) {
  const parent = mkdtempSync(join(tmpdir(), 'keyvisor-errors-'))
  t.teardown(() => rmSync(parent, { recursive: true }))
  const folder = join(parent, 'f')
  mkdirSync(folder)
  for (const verb of await smallVerbs(makeFiles(folder)))
    await t.test(verb.name, (t) => tryVerb(t, verb, random, tally, SAMPLE))
  tally.report()
}
