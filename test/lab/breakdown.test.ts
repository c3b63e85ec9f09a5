/**
 * A QEMU that breaks down under a trial: the boot fails by that name, with all the evidence there is.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { KeyvisorError } from '../../src/base/errors.js'
import type { ReportEvent } from '../../src/guest/report.js'
import { judge } from '../../src/lab/prove.js'
import { openTimeline } from '../../src/lab/timeline.js'
import type { Trial } from '../../src/lab/trial.js'

const ASSERTION = 'tcg_handle_interrupt: assertion failed: (bql_locked())'
const BROKEN = new KeyvisorError(
  'qemu-broke',
  `QEMU broke down, which says nothing about the stick\nqemu failed (exit code 134)\n  command: qemu -m 3G\n  | a\n  | b\n  | c\n  | ${ASSERTION}`,
)

const host = { event: 'host', seconds: 31, accelerator: 'kvm' } as ReportEvent
const done = { event: 'done', seconds: 60 } as ReportEvent

/** A trial whose QEMU breaks down when it has told these events. */
function trialThat(t: Test, events: ReportEvent[], ended: Promise<'off'>): Trial {
  const serialLog = join(t.testdir({ 'serial.log': '' }), 'serial.log')
  writeFileSync(serialLog, 'Starting guests\n')
  ended.catch(() => {})
  const pc = { firmware: 'bios', memory: 2 ** 31, cpus: 1, accelerator: 'tcg', virtualization: true }
  return {
    pc: { ...pc, serialLog },
    manifest: { guests: [] },
    events,
    ended,
    shutDown: () => ended,
  } as unknown as Trial
}

const watching = (reached: Promise<void>) => ({
  reached,
  timeline: openTimeline(),
  screens: null,
  report: null,
})

const lines = (checks: readonly { name: string; passed: boolean; detail: string }[]) =>
  checks.map(({ name, passed, detail }) => `${passed ? 'ok' : 'FAILED'} ${name}: ${detail}`)

const words = `FAILED qemu: ${BROKEN.message.split('\n')[0]}; b; c; ${ASSERTION}`

t.test('while the stick starts', async (t) => {
  const trial = trialThat(t, [host], Promise.reject(BROKEN))
  const proof = await judge(trial, watching(new Promise(() => {})), {}, undefined)
  t.notOk(proof.passed)
  t.strictSame(lines(proof.checks), [
    'ok host: up after 31 s',
    'FAILED report: it did not come to its end before QEMU broke down',
    words,
  ])
  t.strictSame(proof.serialTail, ['Starting guests'])
  t.equal(proof.shutdown, 'killed')
})

t.test('while it shuts down: what passed before does not count', async (t) => {
  const { promise, fail } = failing()
  const trial = { ...trialThat(t, [host, done], promise), shutDown: () => fail(BROKEN) }
  const proof = await judge(trial, watching(Promise.resolve()), {}, undefined)
  t.strictSame(lines(proof.checks), ['ok host: up after 31 s', words])
  t.notOk(proof.passed)
})

/** A promise that the test has fail. */
function failing() {
  let reject: (error: Error) => void = () => {}
  const promise = new Promise<'off'>((_, no) => {
    reject = no
  })
  const fail = (error: Error) => {
    reject(error)
    return promise
  }
  return { promise, fail }
}
