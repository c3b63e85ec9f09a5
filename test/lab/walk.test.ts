import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { Interrupted, KeyvisorError } from '../../src/base/errors.js'
import type { ProgressEvent } from '../../src/base/progress.js'
import type { Proof } from '../../src/lab/prove.js'
import { visitAll, walkImage } from '../../src/lab/walk.js'
import type { Stop } from '../../src/lab/walk-checks.js'
import { loadMachines, MACHINES_FILE } from '../../src/pc/catalogue.js'
import { Store } from '../../src/store/store.js'

t.test('what is no image ends a walk before anything is fetched, made or started', async (t) => {
  const store = await Store.open(join(t.testdir(), 'store'))
  const heard: ProgressEvent[] = []
  const run = { store, progress: (event: ProgressEvent) => void heard.push(event) }
  const machines = await loadMachines(MACHINES_FILE)
  await t.rejects(walkImage('/nowhere.img', machines, {}, run), { code: 'no-such-file' })
  t.strictSame(heard, [])
  t.strictSame(readdirSync(join(store.folder, 'tmp')), [])
})

const machines = (await loadMachines(MACHINES_FILE)).slice(0, 4)
const names = machines.map(({ name }) => name)
const passed = (name: string) =>
  ({ passed: true, checks: [], events: [{ event: 'host', name }] }) as unknown as Proof

t.test('one PC after the other, each told of those before', async (t) => {
  const told: string[][] = []
  let under = 0
  const prove = async ({ name }: { name: string }, before: readonly Stop[]) => {
    t.equal(++under, 1, 'one stick is in one PC at a time')
    told.push(before.map((stop) => stop.name))
    await sleep(5)
    under--
    return passed(name)
  }
  const { passed: good, runs } = await visitAll(machines, { jobs: 3 }, 'tcg', prove)
  t.ok(good)
  t.strictSame(told, [[], names.slice(0, 1), names.slice(0, 2), names.slice(0, 3)])
  t.strictSame(
    runs.map(({ machine }) => machine.name),
    names,
  )
})

t.test('a PC that QEMU cannot be fails by name, with its last words, and the next are tried', async (t) => {
  const failures: Record<string, KeyvisorError> = {
    [names[1] as string]: new KeyvisorError(
      'tool-failed',
      'qemu failed (exit code 1)\n  command: qemu -m 8G\n  | cannot set up guest memory: Cannot allocate memory',
    ),
    [names[2] as string]: new KeyvisorError(
      'qemu-silent',
      'QEMU was started, and did not answer within 60 s',
    ),
  }
  const proven: string[] = []
  const prove = async ({ name }: { name: string }) => {
    if (failures[name]) throw failures[name]
    return passed(name)
  }
  const onProof = ({ name }: { name: string }) => void proven.push(name)
  const { passed: good, runs } = await visitAll(machines, { onProof }, 'tcg', prove)
  t.notOk(good)
  t.strictSame(proven, names)
  t.strictSame(
    runs.map(({ proof }) => proof.passed),
    [true, false, false, true],
  )
  t.match(runs[1]?.proof, {
    memory: machines[1]?.memory,
    accelerator: 'tcg',
    virtualization: false,
    events: [],
    checks: [
      {
        name: 'trial',
        detail: 'qemu failed (exit code 1); cannot set up guest memory: Cannot allocate memory',
      },
    ],
  })
  t.match(runs[2]?.proof.checks, [{ detail: 'QEMU was started, and did not answer within 60 s' }])
})

t.test('what is not of one PC ends the walk', async (t) => {
  for (const error of [new Interrupted(), new KeyvisorError('stick-too-small', 'x'), new Error('BUG: x')]) {
    const begun: string[] = []
    const onMachine = ({ name }: { name: string }) => void begun.push(name)
    await t.rejects(
      visitAll(machines, { onMachine }, 'tcg', () => Promise.reject(error)),
      error,
    )
    t.strictSame(begun, names.slice(0, 1), 'and no other PC is begun')
  }
})

t.test('sticks as new are tried at the same time, and told of in the order of their PCs', async (t) => {
  let under = 0
  let most = 0
  const prove = async ({ name }: { name: string }, before: readonly Stop[]) => {
    t.strictSame(before, [], 'nothing is kept')
    most = Math.max(most, ++under)
    await sleep(name === names[0] ? 40 : 5)
    under--
    return passed(name)
  }
  const { runs } = await visitAll(machines, { each: true, jobs: 2 }, 'tcg', prove)
  t.equal(most, 2)
  t.strictSame(
    runs.map(({ machine }) => machine.name),
    names,
  )
})
