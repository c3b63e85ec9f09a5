import t from 'tap'
import { readHardware } from '../../src/aboard/guest-process.js'
import { fakeMachine } from '../support/fake.js'

t.test('the hardware of a guest is that of its process', async (t) => {
  const machine = fakeMachine({
    '/run/libvirt/qemu/counter.pid': '782\n',
    '/proc/782/cmdline': 'qemu\0-uuid\0c9bc9b60\0',
  })
  t.match(readHardware(machine, 'counter'), { uuid: 'c9bc9b60' })
})

t.test('a guest that does not run has none', async (t) => {
  t.equal(readHardware(fakeMachine({}), 'counter'), null)
  t.equal(readHardware(fakeMachine({ '/run/libvirt/qemu/counter.pid': '782\n' }), 'counter'), null)
})
