import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { KeyvisorError } from '../../src/base/errors.js'
import { GiB } from '../../src/base/units.js'
import { trialIn } from '../../src/lab/trial.js'
import { chooseMachines, loadMachines, MACHINES_FILE, machineWords } from '../../src/pc/catalogue.js'
import { formatProblem } from '../../src/yaml/problems.js'

t.test('the PCs that ship have each value at least once', async (t) => {
  const machines = await loadMachines(MACHINES_FILE)
  t.ok(machines.length >= 8)
  const values = (of: (machine: (typeof machines)[number]) => unknown) =>
    [...new Set(machines.map(of))].sort()
  t.strictSame(
    values(({ firmware }) => firmware),
    ['bios', 'secureboot', 'uefi'],
  )
  t.strictSame(
    values(({ board }) => board.chipset),
    ['i440fx', 'q35'],
  )
  t.strictSame(
    values(({ board }) => board.bus),
    ['ahci', 'ehci', 'nvme', 'uas', 'virtio', 'xhci'],
  )
  t.strictSame(
    values(({ board }) => board.nic),
    ['e1000', 'e1000e', 'none', 'rtl8139', 'virtio'],
  )
  t.strictSame(
    values(({ processor }) => processor),
    ['old', 'plain', 'virtualization'],
  )
  t.strictSame(
    values(({ otherSystem }) => otherSystem),
    [false, true],
  )
  t.strictSame(
    values(({ board }) => board.screen),
    [false, true],
  )
  const memory = machines.map((machine) => machine.memory)
  t.strictSame([Math.min(...memory), Math.max(...memory)], [GiB, 8 * GiB])
  const cpus = machines.map((machine) => machine.cpus)
  t.strictSame([Math.min(...cpus), Math.max(...cpus)], [1, 4])
})

/** What is said of a file of machines. */
async function problemsOf(t: Test, text: string): Promise<string[]> {
  const file = join(t.testdir(), 'pcs.yaml')
  await writeFile(file, text)
  const error: KeyvisorError = await loadMachines(file).then(
    () => t.fail('it was taken') as never,
    (thrown) => thrown,
  )
  t.equal(error.code, 'invalid-machines')
  t.equal(error.exitCode, 2)
  return error.problems.map(
    (problem) => formatProblem({ ...problem, file: 'pcs.yaml' }).split('\n')[0] as string,
  )
}

t.test('all problems of a file come at once, with their places', async (t) => {
  const text = `version: 1
machines:
  - name: one
    firmware: efi
    memory: 2G
    cpus: 0
  - name: two
    firmwear: bios
    memory: 2GiB
    cpus: 1
`
  const lines = await problemsOf(t, text)
  t.equal(lines.length, 4)
  t.match(lines[0], /^pcs\.yaml:4:15: error not-one-of: machines\[0\]\.firmware: /)
  t.match(lines[1], /^pcs\.yaml:5:13: error bad-size: machines\[0\]\.memory: /)
  t.match(lines[2], /^pcs\.yaml:6:11: error too-small: machines\[0\]\.cpus: /)
  t.match(lines[3], /^pcs\.yaml:8:5: error unknown-key: machines\[1\]\.firmwear: /)
})

t.test('what cannot be built is refused', async (t) => {
  const text = `version: 1
machines:
  - {name: one, firmware: secureboot, chipset: i440fx, nic: rtl8139, memory: 2GiB, cpus: 1}
  - {name: one, firmware: bios, chipset: i440fx, nic: e1000e, memory: 2GiB, cpus: 1}
  - {name: two, firmware: uefi, bus: uas, memory: 2GiB, cpus: 1}
  - {name: three, firmware: bios, chipset: i440fx, memory: 2GiB, cpus: 1}
`
  const lines = await problemsOf(t, text)
  t.equal(lines.length, 5)
  t.match(lines[0], /:3:27: error not-one-of: .*firmware: secureboot does not go with i440fx/)
  t.match(lines[1], /:4:12: error duplicate-name: machines\[1\]\.name: machines\[0\] has the name one/)
  t.match(lines[2], /:4:\d+: error not-one-of: .*nic: e1000e does not go with i440fx/)
  t.match(lines[3], /:5:\d+: error not-one-of: .*bus: uas does not start by UEFI/)
  t.match(lines[4], /:6:\d+: error not-one-of: .*nic: e1000e does not go with i440fx/, 'the usual card, too')
})

t.test('a file that is not there', async (t) => {
  await t.rejects(loadMachines(join(t.testdir(), 'none.yaml')), {
    code: 'invalid-machines',
    problems: [{ code: 'no-file' }],
  })
})

t.test('machines are chosen by name, and a wrong one is corrected', async (t) => {
  const machines = await loadMachines(MACHINES_FILE)
  t.strictSame(chooseMachines(machines, []), machines)
  t.strictSame(
    chooseMachines(machines, ['laptop', 'usual']).map(({ name }) => name),
    ['usual', 'laptop'],
    "in the file's order",
  )
  t.throws(() => chooseMachines(machines, ['labtop']), {
    code: 'unknown-machine',
    exitCode: 2,
    hint: 'did you mean laptop?',
  })
})

t.test('a machine says what it is, and how it is run', async (t) => {
  const machines = await loadMachines(MACHINES_FILE)
  const server = machines.find(({ name }) => name === 'server')
  if (!server) return void t.fail('no server')
  t.equal(machineWords(server), 'bios, q35, stick on ahci, e1000, 8GiB, 4 CPUs, no virtualization, no screen')
  t.match(trialIn(server), { firmware: 'bios', virtualization: false, board: { bus: 'ahci', old: false } })
})
