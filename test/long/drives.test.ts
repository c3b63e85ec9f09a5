/**
 * A guest with several drives: two disks that begin as images and a CD, each with its base in the library. It sees what is
 * on them, and keeps its changes on both disks, from start to start and from PC to PC.
 */
import t from 'tap'
import { walkImage } from '../../src/lab/walk.js'
import { loadMachines } from '../../src/pc/catalogue.js'
import { isEvent, onStick, openStick } from '../support/demo.js'

const stick = await openStick(t, 'fixtures/sticks/drives.yaml')

/** What the images and the ISO hold, and one more on the disks at each start. */
const SAID = [
  'the CD says hello; books 41, plans 71',
  'the CD says hello; books 42, plans 72',
  'the CD says hello; books 43, plans 73',
]

if (stick) {
  t.setTimeout(60 * 60 * 1000)
  const machines = await loadMachines('fixtures/machines/drives.yaml')
  const chains: string[] = []
  const { runs } = await walkImage(
    stick.image,
    machines,
    {
      accelerator: 'tcg',
      ssh: true,
      visit: async (trial) => {
        const info = 'sudo qemu-img info -U -f qcow2 --backing-chain'
        const disks = ['disk', 'disk-1', 'disk-2'].map((name) => `/data/guests/reader/${name}.qcow2`)
        chains.push(await onStick(trial, disks.map((disk) => `${info} ${disk}`).join('; ')))
      },
      onProof: ({ name }, { passed, seconds }) =>
        console.error(`# ${name}: ${passed ? 'passed' : 'FAILED'}, done after ${seconds} s`),
    },
    stick.place,
  )
  t.equal(runs.length, SAID.length)
  for (const [index, { machine, proof }] of runs.entries()) {
    await t.test(machine.name, async (t) => {
      for (const { name, passed, detail } of proof.checks) t.ok(passed, `${name}: ${detail}`)
      t.ok(proof.passed, 'the whole boot', { serial: proof.serialTail })
      const guest = proof.events.find(isEvent('guest'))
      t.match(guest, { name: 'reader', state: 'ready', said: SAID[index], hypervisor: 'KVM', note: '' })
      t.match(guest?.confinement, {
        user: 'libvirt-qemu',
        apparmor: /^libvirt-.* \(enforce\)$/,
        seccomp: true,
      })
      const [first, ...others] = guest?.hardware?.diskSerials ?? []
      t.match(first, /^KV/)
      t.strictSame(others, ['BOOKS', 'PLANS'])
      const bases =
        chains[index]?.match(/^backing file: \/run\/keyvisor\/library\/[0-9a-f]{64}\.qcow2$/gm) ?? []
      t.equal(new Set(bases).size, 3, 'each disk is an overlay on a base of its own')
    })
  }
}
