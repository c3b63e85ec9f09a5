import t from 'tap'
import { stopGuests } from '../../src/aboard/stop.js'
import { fakeMachine } from '../support/fake.js'

/** A stick with running guests, each of which hears its power button from the given press on. */
function stick(hears: Record<string, number>) {
  const files = Object.fromEntries(Object.keys(hears).map((name) => [`/run/libvirt/qemu/${name}.pid`, '1']))
  const presses: string[] = []
  const machine = fakeMachine(files, (line, machine) => {
    if (line.includes(' list ')) {
      const running = Object.keys(hears).filter((name) => machine.exists(`/run/libvirt/qemu/${name}.pid`))
      return `${running.join('\n')}\n\n`
    }
    if (line.startsWith('pgrep '))
      return { code: Object.keys(files).some((pid) => machine.exists(pid)) ? 0 : 1 }
    const name = / shutdown (\S+)/.exec(line)?.[1]
    if (!name) return undefined
    presses.push(name)
    if (presses.filter((other) => other === name).length < (hears[name] ?? 0)) return undefined
    machine.files.delete(`/run/libvirt/qemu/${name}.pid`)
    return undefined
  })
  return { machine, presses }
}

t.test('no guest runs', async (t) => {
  const { machine, presses } = stick({})
  t.strictSame(stopGuests(machine), [])
  t.strictSame(presses, [])
  t.equal(machine.now(), 0)
  t.notOk(
    machine.ran.some((line) => line.includes('virsh')),
    'libvirt is not asked',
  )
})

t.test('without pgrep libvirt is asked', async (t) => {
  const machine = fakeMachine({}, (line) => (line.startsWith('pgrep ') ? { code: 127 } : ''))
  t.strictSame(stopGuests(machine), [])
  t.ok(machine.ran.some((line) => line.includes(' list ')))
})

t.test('a guest that missed a press is pressed again, the others are not', async (t) => {
  const { machine, presses } = stick({ ready: 1, starting: 3 })
  t.strictSame(stopGuests(machine), [])
  t.strictSame(presses, ['ready', 'starting', 'starting', 'starting'])
  t.equal(machine.now(), 20_000)
})

t.test('a guest that never hears is given up after three minutes', async (t) => {
  const { machine, presses } = stick({ deaf: Number.POSITIVE_INFINITY, ready: 1 })
  t.strictSame(stopGuests(machine), ['deaf'])
  t.equal(machine.now(), 180_000)
  t.equal(presses.filter((name) => name === 'deaf').length, 18)
})

t.test('guests of every machine that QEMU has are looked for', async (t) => {
  const machine = fakeMachine({}, () => ({ code: 1 }))
  stopGuests(machine)
  const pattern = /^pgrep -f (.*)$/.exec(machine.ran[0] ?? '')?.[1] ?? '$none'
  for (const program of ['qemu-system-x86_64', 'qemu-system-i386'])
    t.match(`/usr/bin/${program} -name guest=x`, new RegExp(pattern))
})
