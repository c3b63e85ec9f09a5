import t from 'tap'
import { openWatch } from '../../src/aboard/watch.js'
import { MiB } from '../../src/base/units.js'
import type { ReportEvent } from '../../src/guest/report.js'
import { fakeMachine } from '../support/fake.js'

/** A stick whose free bytes and paused guests the test sets. */
function stick() {
  const now = { free: 4096 * MiB, paused: new Set<string>(), virsh: 0 }
  const told: ReportEvent[] = []
  const files = { '/run/libvirt/qemu/a.pid': '1', '/run/libvirt/qemu/b.pid': '2' }
  const machine = fakeMachine(files, (line) => {
    if (line.startsWith('df ')) return `     Avail\n${now.free}\n`
    const guest = /domstate (\S+)/.exec(line)?.[1]
    if (guest) return now.paused.has(guest) ? 'paused (I/O error)\n' : 'running (booted)\n'
    const resumed = / resume (\S+)/.exec(line)?.[1]
    if (resumed) now.paused.delete(resumed)
    return undefined
  })
  const report = { tell: (event: ReportEvent) => void told.push(event), starting: () => {} }
  return { now, told, machine, look: openWatch(machine, report, ['a', 'b', 'off']) }
}

t.test('while there is space, libvirt is not asked', async (t) => {
  const { look, told, machine } = stick()
  look()
  t.strictSame(told, [])
  t.notOk(machine.ran.some((line) => line.includes('virsh')))
})

t.test('a guest that is paused is told of once, and goes on when there is space', async (t) => {
  const { now, look, told, machine } = stick()
  now.free = 0
  look()
  t.strictSame(told, [], 'nobody is paused yet')
  now.paused.add('a')
  look()
  look()
  t.strictSame(told, [{ event: 'data', state: 'full', free: 0, guests: ['a'] }])
  now.paused.add('b')
  look()
  t.strictSame(told[1], { event: 'data', state: 'full', free: 0, guests: ['a', 'b'] })
  now.free = 63 * MiB
  look()
  t.equal(now.paused.size, 2, 'with so little they would be paused again')
  now.free = 64 * MiB
  look()
  t.equal(now.paused.size, 0)
  t.strictSame(told[2], { event: 'data', state: 'free', free: 64 * MiB, guests: ['a', 'b'] })
  look()
  t.equal(told.length, 3)
  t.notOk(
    machine.ran.some((line) => line.includes('domstate off')),
    'a guest that does not run is not asked for',
  )
})

t.test('a guest that somebody paused is left alone', async (t) => {
  const { now, look, told, machine } = stick()
  now.free = 0
  look()
  now.free = 4096 * MiB
  look()
  t.strictSame(told, [])
  t.notOk(machine.ran.some((line) => line.includes('resume')))
})
