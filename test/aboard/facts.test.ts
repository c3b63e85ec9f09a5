import t from 'tap'
import { architectureOf, damagedDevices, readHost, readPc } from '../../src/aboard/facts.js'
import { GiB } from '../../src/base/units.js'
import { fakeMachine } from '../support/fake.js'

const SECURE_BOOT = '/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c'
const proc = {
  '/proc/meminfo': 'MemTotal:        4194304 kB\nMemFree:          1234 kB\n',
  '/proc/cpuinfo': 'processor\t: 0\nmodel name\t: x\n\nprocessor\t: 1\nmodel name\t: processor : 2\n',
  '/proc/uptime': '12.34 20.00\n',
  '/proc/cmdline': `ro keyvisor.slot=a keyvisor.root=${'0a'.repeat(32)},4096 quiet\n`,
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
    version: 2,
    name: 'demo',
    firmware: 'bios',
    secureBoot: 'unsupported',
    accelerator: 'tcg',
    memory: 4 * GiB,
    cpus: 2,
    architecture: 'amd64',
    slot: 'a',
    slots: { a: '0a'.repeat(32), b: null },
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
  t.strictSame(readHost(machine, '', readPc(machine)).slots, { a: null, b: null })
})

t.test('a host in the other slot', async (t) => {
  const root = '0b'.repeat(32)
  const machine = fakeMachine({ '/proc/cmdline': `keyvisor.slot=b keyvisor.root=${root},8192\n` })
  t.match(readHost(machine, '', readPc(machine)), { slot: 'b', slots: { a: null, b: root } })
})

t.test('the architecture is the one that the host was built for', async (t) => {
  const machine = fakeMachine({ '/usr/lib/keyvisor/facts': 'ARCHITECTURE=amd64\nSERIAL=ttyS0\nESP=2\n' })
  t.equal(architectureOf(machine).qemu.program, 'qemu-system-x86_64')
})

t.test('devices that verity found damaged', async (t) => {
  const status = 'keyvisor-root: 0 700000 verity V\nkeyvisor-library: 0 9000 verity C\n'
  t.strictSame(damagedDevices(fakeMachine({}, () => status)), ['keyvisor-library'])
  t.strictSame(damagedDevices(fakeMachine({}, () => ({ code: 127 }))), [])
})
