/**
 * QEMU is killed at random moments. That is a crash of a process, and no loss of power: what the stick was given to write
 * is all there, in its order. `power-loss.test.ts` has the stronger test.
 *
 * The first half of the rounds kill a first boot, each that of a new stick; the others a later one. Each time the stick must
 * come up again, and the guest must have every record that it told somebody of. `SEED=…` kills at the same moments again.
 */
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { proveImage } from '../../src/lab/prove.js'
import { withTrial } from '../../src/lab/trial.js'
import { openStick } from '../boot/demo.js'
import { seeded, seedOfRun } from '../tools.js'
import { COLLECTOR, PROFILE, recordsSaid } from './power.js'

const ROUNDS = 10

/** Seconds: a start under emulation takes some 90 of them on two cores, and then the guest writes. */
const LATEST = 150

const stick = await openStick(t, PROFILE)

if (stick) {
  t.setTimeout(7_200_000)
  const random = seeded(seedOfRun())
  const keep = join(t.testdir(), 'stick.qcow2')
  const pc = { accelerator: 'tcg', cpus: 1, keep, collector: COLLECTOR } as const
  let confirmed = 0
  let recovered = 0
  const onCollected = (line: string) => {
    confirmed = Math.max(confirmed, Number(line))
  }

  for (let round = 0; round < ROUNDS; round++) {
    const moment = random(LATEST * 10) / 10
    await t.test(`killed after ${moment} s`, async (t) => {
      if (round < ROUNDS / 2) {
        await rm(keep, { force: true })
        confirmed = 0
      }
      const ending = await withTrial(stick.image, { ...pc, onCollected }, stick.run, async (trial) => {
        await sleep(moment * 1000)
        await trial.kill()
        return trial.ended
      })
      t.equal(ending, 'killed')
      const before = confirmed
      const proof = await proveImage(stick.image, { ...pc, onCollected }, stick.run)
      if (!t.ok(proof.passed, 'it comes up again', { checks: proof.checks, serial: proof.serialTail })) return
      const records = recordsSaid(proof.events)
      t.ok(records >= before, `${records} records, ${before} of them confirmed`)
      recovered++
    })
  }
  t.equal(recovered, ROUNDS)
  console.error(`# ${recovered} of ${ROUNDS} process crashes survived`)
}
