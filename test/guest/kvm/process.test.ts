import t from 'tap'
import { MiB } from '../../../src/base/units.js'
import { hardwareOf as ofLine } from '../../../src/guest/kvm/process.js'

const ARGUMENTS = [
  '/usr/bin/qemu-system-x86_64',
  '-name',
  'guest=counter,debug-threads=on',
  '-accel',
  'kvm',
  '-cpu',
  'host,migratable=on',
  '-m',
  'size=524288k',
  '-smp',
  '1,maxcpus=2,sockets=2,cores=1,threads=1',
  '-uuid',
  'c9bc9b60-0884-837b-b58d-09ad84f7f735',
  '-smbios',
  'type=0,vendor=x',
  '-smbios',
  'type=1,manufacturer=Keyvisor,product=Guest,serial=K-17,uuid=c9',
  '-device',
  '{"driver":"virtio-serial-pci","id":"virtio-serial0","bus":"pci.3"}',
  '-device',
  '{"driver":"virtio-blk-pci","drive":"libvirt-1-format","id":"d0","serial":"disk-1"}',
  '-device',
  '{"driver":"virtio-net-pci","netdev":"hostnet0","id":"net0","mac":"52:54:00:0a:0b:0c"}',
  '-device',
  'pcie-root-port,port=8',
  '-msg',
  'timestamp=on',
]

/** The hardware of a guest whose QEMU has these arguments. */
function hardwareOf(words: readonly string[]) {
  return ofLine(`${words.join('\0')}\0`)
}

t.test("a guest's hardware is that of the QEMU which runs", async (t) => {
  t.strictSame(hardwareOf(ARGUMENTS), {
    uuid: 'c9bc9b60-0884-837b-b58d-09ad84f7f735',
    serial: 'K-17',
    macs: ['52:54:00:0a:0b:0c'],
    diskSerials: ['disk-1'],
    memory: 512 * MiB,
    cpus: 1,
    accelerator: 'kvm',
  })
})

t.test('a guest that is emulated, and one whose QEMU was told nothing', async (t) => {
  const emulated = ARGUMENTS.map((word) => (word === 'kvm' ? 'tcg,thread=multi' : word))
  t.match(hardwareOf(emulated), { memory: 512 * MiB, cpus: 1, accelerator: 'tcg' })
  t.match(hardwareOf(['qemu']), { memory: 0, cpus: 1, accelerator: 'tcg' })
})
