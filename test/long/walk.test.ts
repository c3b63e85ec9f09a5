/**
 * The walk: a stick with one guest on every PC that ships, one after the other. On PCs without virtualization the guest is
 * emulated inside the emulated PC, where a whole system is not up after seven minutes: so it is one that fits into a sector.
 * What each PC showed is left in `out/walk/report.html`.
 */
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { runOnMachine } from '../../src/lab/evidence.js'
import { writeEvidence } from '../../src/lab/evidence-files.js'
import { type WalkOptions, walkImage } from '../../src/lab/walk.js'
import { loadMachines, MACHINES_FILE } from '../../src/pc/catalogue.js'
import { openStick } from '../support/demo.js'

const stick = await openStick(t, 'fixtures/sticks/traveller.yaml')

if (stick) {
  t.setTimeout(2 * 60 * 60 * 1000)
  const machines = await loadMachines(MACHINES_FILE)
  const report = join(process.cwd(), 'out/walk')
  await mkdir(report, { recursive: true })
  const started = Date.now()
  const onProof: WalkOptions['onProof'] = ({ name }, { passed, seconds }) =>
    console.error(`# ${name}: ${passed ? 'passed' : 'FAILED'}, done after ${seconds} s`)
  const { runs } = await walkImage(
    stick.image,
    machines,
    { accelerator: 'tcg', report, onProof },
    stick.place,
  )
  const date = new Date().toISOString()
  await writeEvidence(report, { image: stick.image, date, runs: runs.map(runOnMachine) })
  t.equal(runs.length, machines.length)
  for (const { machine, proof } of runs) {
    await t.test(machine.name, async (t) => {
      for (const { name, passed, detail } of proof.checks) t.ok(passed, `${name}: ${detail}`)
      t.ok(proof.passed, 'the whole boot', { serial: proof.serialTail })
    })
  }
  t.comment(`${runs.length} PCs in ${Math.round((Date.now() - started) / 1000)} s`)
}
