/**
 * QEMU is killed at random moments. That is a crash of a process, and no loss of power: what the stick was given to write
 * is all there, in its order. `power-loss.test.ts` has the stronger test.
 *
 * The first half of the rounds kill a first boot, each that of a new stick; the others a later one. In turns, it is killed while
 * it starts, and while the guest writes. Each time the stick must come up again, and the guest must have every record that it
 * told somebody of. `SEED=…` kills at the same moments again.
 */
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { proveImage } from '../../src/lab/prove.js'
import { withTrial } from '../../src/lab/trial.js'
import { COLLECTOR, PROFILE, recordsSaid } from '../power/power.js'
import { openStick } from '../support/demo.js'
import { seeded, seedOfRun } from '../support/tools.js'

/** Each takes two boots, some five minutes under emulation. */
const ROUNDS = Number(process.env['ROUNDS'] ?? 10)

/** Seconds from power-on: under emulation the guest is ready after some 150 of them. */
const STARTING = 150

/** Seconds from the guest's first record on. */
const WRITING = 20

/** Seconds after which a guest that has written nothing is given up. */
const PATIENCE = 900

const stick = await openStick(t, PROFILE)

if (stick) {
  t.setTimeout(7_200_000)
  const random = seeded(seedOfRun())
  const keep = join(t.testdir(), 'stick.qcow2')
  const pc = { accelerator: 'tcg', cpus: 1, keep, collector: COLLECTOR } as const
  let confirmed = 0
  let lost = 0
  let survived = 0
  const onCollected = (line: string) => {
    confirmed = Math.max(confirmed, Number(line))
  }

  /** Runs the stick until the plug is pulled; what was confirmed by then. */
  const killed = (t: Test, moment: number, writing: boolean): Promise<number> => {
    let wrote = () => {}
    const writes = new Promise<void>((resolve) => {
      wrote = resolve
    })
    const hear = (line: string) => {
      onCollected(line)
      wrote()
    }
    return withTrial(stick.image, { ...pc, onCollected: hear }, stick.place, async (trial) => {
      const late = sleep(PATIENCE * 1000, 'late', { ref: false })
      if (writing) t.not(await Promise.race([writes, late, trial.ended]), 'late', 'the guest writes')
      await sleep(moment * 1000)
      await trial.kill()
      t.equal(await trial.ended, 'killed')
      return confirmed
    })
  }

  for (let round = 0; round < ROUNDS; round++) {
    const writing = round % 2 === 1
    const moment = random((writing ? WRITING : STARTING) * 10) / 10
    const name = `${moment} s after ${writing ? "the guest's first record" : 'power-on'}`
    await t.test(`killed ${name}`, async (t) => {
      if (round < ROUNDS / 2) {
        await rm(keep, { force: true })
        confirmed = 0
      }
      const before = await killed(t, moment, writing)
      if (writing) t.ok(before > 0, `${before} records are confirmed`)
      const proof = await proveImage(stick.image, { ...pc, onCollected }, stick.place)
      if (!t.ok(proof.passed, 'it comes up again', { checks: proof.checks, serial: proof.serialTail })) return
      const records = recordsSaid(proof.events)
      lost += Math.max(0, before - records)
      t.ok(records >= before, `${records} records, ${before} of them confirmed`)
      survived++
    })
  }
  t.equal(survived, ROUNDS)
  console.error(`# ${ROUNDS} crash points, ${lost} lost; ${survived} survived`)
}
