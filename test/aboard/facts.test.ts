import t from 'tap'
import { damagedDevices, readHost, readPc } from '../../src/aboard/facts.js'
import { GiB } from '../../src/base/units.js'
import { fakeMachine } from '../support/fake.js'

const SECURE_BOOT = '/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c'
const proc = {
  '/proc/meminfo': 'MemTotal:        4194304 kB\nMemFree:          1234 kB\n',
  '/proc/cpuinfo': 'processor\t: 0\nmodel name\t: x\n\nprocessor\t: 1\nmodel name\t: processor : 2\n',
  '/proc/uptime': '12.34 20.00\n',
  '/proc/cmdline': `ro keyvisor.root=${'0a'.repeat(32)} quiet\n`,
}

t.test('the PC as /proc has it', async (t) => {
  t.strictSame(readPc(fakeMachine(proc)), { memory: 4 * GiB, cpus: 2, kvm: false })
  t.equal(readPc(fakeMachine({ ...proc, '/dev/kvm': '' })).kvm, true)
})

t.test('memory is what is built in, where the kernel tells', async (t) => {
  const machine = fakeMachine(
    { ...proc, '/sys/devices/system/memory/block_size_bytes': '8000000\n' },
    (line) => (line.includes('/memory*/state') ? `${'online\n'.repeat(40)}offline\n` : undefined),
  )
  t.equal(readPc(machine).memory, 5 * GiB)
})

t.test('a BIOS start', async (t) => {
  const machine = fakeMachine(proc)
  t.strictSame(readHost(machine, 'demo', readPc(machine)), {
    event: 'host',
    name: 'demo',
    firmware: 'bios',
    secureBoot: 'unsupported',
    accelerator: 'tcg',
    memory: 4 * GiB,
    cpus: 2,
    rootHash: '0a'.repeat(32),
    seconds: 12.34,
  })
})

t.test('Secure Boot as the firmware has it', async (t) => {
  const state = (variable: Record<string, string>) => {
    const machine = fakeMachine({ ...proc, '/sys/firmware/efi': '', ...variable })
    return readHost(machine, 'demo', readPc(machine)).secureBoot
  }
  t.equal(state({ [SECURE_BOOT]: '\u0006\0\0\0\u0001' }), 'enabled')
  t.equal(state({ [SECURE_BOOT]: '\u0006\0\0\0\0' }), 'disabled')
  t.equal(state({}), 'unsupported')
})

t.test('a command line without a root hash', async (t) => {
  const machine = fakeMachine({ ...proc, '/proc/cmdline': 'xkeyvisor.root=1 ro\n' })
  t.equal(readHost(machine, '', readPc(machine)).rootHash, '')
})

t.test('devices that verity found damaged', async (t) => {
  const status = 'keyvisor-root: 0 700000 verity V\nkeyvisor-library: 0 9000 verity C\n'
  t.strictSame(damagedDevices(fakeMachine({}, () => status)), ['keyvisor-library'])
  t.strictSame(damagedDevices(fakeMachine({}, () => ({ code: 127 }))), [])
})
