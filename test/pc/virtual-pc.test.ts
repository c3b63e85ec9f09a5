import t from 'tap'
import { GiB, MiB } from '../../src/base/units.js'
import { qemuArguments, USUAL_BOARD, type VirtualPc } from '../../src/pc/virtual-pc.js'

const pc: VirtualPc = {
  firmware: 'bios',
  memory: 3 * GiB,
  cpus: 2,
  accelerator: 'tcg',
  virtualization: true,
  board: USUAL_BOARD,
  disks: [],
  network: '10.0.2.0/24',
  clock: null,
  stick: '/s/stick.qcow2',
  keep: false,
  variables: '/s/variables.fd',
  serialLog: '/s/serial.log',
  reportLog: '/s/report.jsonl',
  qmp: 'qmp',
  forwards: [
    { here: 2222, stick: 22 },
    { here: 8081, stick: 8080 },
  ],
  vnc: null,
  writeLog: null,
  collector: null,
  credentials: {},
}

/** The arguments as lines, an option and its value on each. */
function lines(changes: Partial<VirtualPc> = {}): string[] {
  return qemuArguments({ ...pc, ...changes })
    .join(' ')
    .split(/ (?=-)/)
}

t.test('a PC with BIOS, whole', async (t) => {
  t.strictSame(lines(), [
    '-name keyvisor',
    '-nodefaults',
    '-no-user-config',
    '-machine q35,smm=off',
    '-accel tcg,thread=multi',
    '-cpu max,la57=off,erms=off,fsrm=off,fzrm=off,fsrs=off,fsrc=off',
    '-smp 2',
    '-m 3072M',
    '-device qemu-xhci',
    '-drive if=none,id=stick,format=qcow2,cache=unsafe,discard=unmap,file=/s/stick.qcow2',
    '-device usb-storage,drive=stick,bootindex=1',
    '-vga std',
    '-display none',
    '-chardev file,id=serial,path=/s/serial.log',
    '-serial chardev:serial',
    '-device virtio-serial-pci',
    '-chardev file,id=report,path=/s/report.jsonl',
    '-device virtserialport,chardev=report,name=org.keyvisor.report.0',
    '-qmp unix:qmp,server=on,wait=off',
    '-netdev user,id=uplink,net=10.0.2.0/24,hostfwd=tcp:127.0.0.1:2222-:22,hostfwd=tcp:127.0.0.1:8081-:8080',
    '-device virtio-net-pci,netdev=uplink,romfile=',
  ])
})

t.test('Secure Boot has SMM, a flash that only SMM may write, and variables with keys', async (t) => {
  const added = lines({ firmware: 'secureboot' }).filter((line) => !lines().includes(line))
  t.strictSame(added, [
    '-machine q35,smm=on',
    '-global driver=cfi.pflash01,property=secure,value=on',
    '-drive if=pflash,format=raw,unit=0,readonly=on,file=/usr/share/OVMF/OVMF_CODE_4M.secboot.fd',
    '-drive if=pflash,format=raw,unit=1,file=/s/variables.fd',
  ])
})

t.test('plain UEFI has neither', async (t) => {
  const added = lines({ firmware: 'uefi' }).filter((line) => !lines().includes(line))
  t.strictSame(added, [
    '-drive if=pflash,format=raw,unit=0,readonly=on,file=/usr/share/OVMF/OVMF_CODE_4M.fd',
    '-drive if=pflash,format=raw,unit=1,file=/s/variables.fd',
  ])
})

t.test('each other member shows where it should', async (t) => {
  const cases: [Partial<VirtualPc>, string][] = [
    [{ accelerator: 'kvm' }, '-accel kvm'],
    [{ accelerator: 'kvm' }, '-cpu max,la57=off'],
    [{ accelerator: 'kvm', virtualization: false }, '-cpu max,la57=off,svm=off,vmx=off'],
    [{ memory: 512 * MiB }, '-m 512M'],
    [{ cpus: 4 }, '-smp 4'],
    [{ vnc: 5903 }, '-display vnc=127.0.0.1:3'],
    [
      { keep: true },
      '-drive if=none,id=stick,format=qcow2,cache=writeback,discard=unmap,file=/s/stick.qcow2',
    ],
    [{ forwards: [] }, '-netdev user,id=uplink,net=10.0.2.0/24'],
  ]
  for (const [changes, line] of cases) t.ok(lines(changes).includes(line), line)
})

t.test('a comma in a path or a credential stays in it', async (t) => {
  const given = qemuArguments({ ...pc, stick: '/a,b/s', credentials: { 'x.key': 'ssh-ed25519 AAAA me,too' } })
  t.ok(given.some((word) => word.endsWith('file=/a,,b/s')))
  t.equal(given.at(-2), '-smbios')
  t.equal(given.at(-1), 'type=11,value=io.systemd.credential:x.key=ssh-ed25519 AAAA me,,too')
})

t.test('a PC without hardware virtualization', async (t) => {
  const [cpu] = lines({ virtualization: false }).filter((line) => line.startsWith('-cpu'))
  t.match(cpu, /,svm=off,vmx=off$/)
})

t.test('a PC with a clock of its own', async (t) => {
  t.ok(lines({ clock: '2001-02-03T04:05:06' }).includes('-rtc base=2001-02-03T04:05:06'))
})

t.test('a stick whose writes are logged, and a collector', async (t) => {
  const changes = lines({ keep: true, writeLog: '/l/a,b.log', collector: '10.0.2.100:7777', forwards: [] })
  const added = changes.filter((line) => !lines({ forwards: [] }).includes(line))
  t.strictSame(added, [
    '-drive if=none,id=stick,driver=blklogwrites,cache=writeback,discard=unmap,' +
      'file.driver=qcow2,file.discard=unmap,file.cache.no-flush=on,' +
      'file.file.driver=file,file.file.filename=/s/stick.qcow2,' +
      'log.driver=file,log.cache.no-flush=on,log.filename=/l/a,,b.log',
    '-chardev socket,id=collector,path=collector,server=on,wait=off',
    '-netdev user,id=uplink,net=10.0.2.0/24,guestfwd=tcp:10.0.2.100:7777-chardev:collector',
  ])
})

t.test('each SATA disk has a port of its own', async (t) => {
  const disk = { path: '/s/a', format: 'raw', bus: 'sata', before: true } as const
  const usb = { ...disk, bus: 'usb' } as const
  const devices = lines({ disks: [{ ...disk }, usb, { ...disk }] }).filter((line) =>
    line.includes('drive=disk'),
  )
  t.strictSame(devices, [
    '-device ide-hd,drive=disk0,bus=ide.0',
    '-device usb-storage,drive=disk1',
    '-device ide-hd,drive=disk2,bus=ide.1',
  ])
})

t.test('other disks stand before or behind the stick, and nobody starts from them', async (t) => {
  const first = { path: '/s/a,b.raw', format: 'raw', bus: 'sata', before: true } as const
  const second = { path: '/s/c.qcow2', format: 'qcow2', bus: 'usb', before: false } as const
  const all = lines({ disks: [second, first] })
  const place = all.indexOf('-device qemu-xhci')
  t.strictSame(all.slice(place + 1, place + 7), [
    '-drive if=none,id=disk1,format=raw,file=/s/a,,b.raw',
    '-device ide-hd,drive=disk1,bus=ide.0',
    '-drive if=none,id=stick,format=qcow2,cache=unsafe,discard=unmap,file=/s/stick.qcow2',
    '-device usb-storage,drive=stick,bootindex=1',
    '-drive if=none,id=disk0,format=qcow2,file=/s/c.qcow2',
    '-device usb-storage,drive=disk0',
  ])
})

t.test('the stick on each bus, as the only thing to start from', async (t) => {
  const on = (changes: Partial<typeof USUAL_BOARD>) =>
    lines({ board: { ...USUAL_BOARD, ...changes } }).filter((line) => /usb|drive=stick|ahci|nvme/.test(line))
  t.strictSame(on({ bus: 'ehci' }), ['-device usb-ehci', '-device usb-storage,drive=stick,bootindex=1'])
  t.strictSame(on({ bus: 'uas' }), [
    '-device usb-ehci',
    '-device usb-uas,id=uas',
    '-device scsi-hd,bus=uas.0,drive=stick,bootindex=1',
  ])
  t.strictSame(on({ bus: 'ahci' }), ['-device ide-hd,bus=ide.5,drive=stick,bootindex=1'])
  t.strictSame(on({ bus: 'ahci', chipset: 'i440fx' }), [
    '-device ahci,id=ahci',
    '-device ide-hd,bus=ahci.0,drive=stick,bootindex=1',
  ])
  t.strictSame(on({ bus: 'nvme' }), ['-device nvme,serial=stick,drive=stick,bootindex=1'])
  t.strictSame(on({ bus: 'virtio' }), ['-device virtio-blk-pci,drive=stick,bootindex=1'])
})

t.test('a USB disk beside a stick that is on no USB has its controller', async (t) => {
  const usb = { path: '/s/c', format: 'raw', bus: 'usb', before: false } as const
  const all = lines({ board: { ...USUAL_BOARD, bus: 'nvme' }, disks: [usb] })
  t.ok(all.indexOf('-device qemu-xhci') < all.indexOf('-device usb-storage,drive=disk0'))
  t.ok(all.includes('-device qemu-xhci'))
})

t.test('what is soldered to a PC', async (t) => {
  const board = { chipset: 'i440fx', bus: 'xhci', nic: 'rtl8139', old: true, screen: false } as const
  const added = lines({ board }).filter((line) => !lines().includes(line))
  t.strictSame(added, [
    '-machine pc,smm=off',
    '-cpu Conroe,cx16=on',
    '-vga none',
    '-device rtl8139,netdev=uplink,romfile=',
  ])
  const alone = lines({ board: { ...USUAL_BOARD, nic: 'none' } })
  t.notOk(
    alone.some((line) => line.includes('netdev')),
    'no card, and no network',
  )
})
