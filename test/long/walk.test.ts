/**
 * The walk: the demo's stick on every PC that ships, one after the other.
 */
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { loadMachines, MACHINES_FILE } from '../../src/lab/machines.js'
import { walkImage } from '../../src/lab/walk.js'
import { openDemo } from '../boot/demo.js'

const demo = await openDemo(t)

if (demo) {
  t.setTimeout(2 * 60 * 60 * 1000)
  const machines = await loadMachines(MACHINES_FILE)
  const report = join(process.cwd(), 'out/walk')
  await mkdir(report, { recursive: true })
  const started = Date.now()
  const { runs } = await walkImage(demo.image, machines, { accelerator: 'tcg', report }, demo.run)
  t.equal(runs.length, machines.length)
  for (const { machine, proof } of runs) {
    await t.test(machine.name, async (t) => {
      for (const { name, passed, detail } of proof.checks) t.ok(passed, `${name}: ${detail}`)
      t.ok(proof.passed, 'the whole boot', { serial: proof.serialTail })
    })
  }
  t.comment(`${runs.length} PCs in ${Math.round((Date.now() - started) / 1000)} s`)
}
