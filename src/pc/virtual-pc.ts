/**
 * A PC as data, and the QEMU command line that is that PC: pure, golden-tested.
 *
 * The stick is a USB disk, as it will be. Nothing else of the PC could be booted from, so that a stick that does not
 * start ends in the firmware, and never somewhere else. (QEMU, "qemu-system-x86_64" invocation.)
 * Left out: starting it (`session.ts`).
 */

import type { Architecture, Firmware } from '../arch/architecture.js'
import { ARCHITECTURES, USUAL_ARCHITECTURE } from '../arch/architecture.js'
import { type Bytes, MiB } from '../base/units.js'
import type { Accelerator } from '../guest/definition.js'
import { REPORT_PORT } from '../guest/report.js'

export interface VirtualPc {
  firmware: Firmware
  memory: Bytes
  cpus: number
  accelerator: Accelerator
  /** Whether its CPUs have hardware virtualization for the stick's guests. */
  virtualization: boolean
  board: Board
  /** Its own disks. */
  disks: PcDisk[]
  /** Subnet of its network, as `ADDRESS/PREFIX`. */
  network: string
  /** What its clock says when it is switched on, as `2001-02-03T04:05:06`; null for the time of here. */
  clock: string | null
  /** The stick, a qcow2 overlay over an image: a path. */
  stick: string
  /** What was written counts, also when QEMU is killed. */
  keep: boolean
  /** Copy of the UEFI variables, which the firmware writes to; BIOS has none. */
  variables: string
  serialLog: string
  reportLog: string
  /** Socket of the QEMU Machine Protocol, in QEMU's own folder: the path of a socket may have 107 bytes only. */
  qmp: string
  /** TCP ports of the loopback address here that lead to ports of the stick. */
  forwards: { here: number; stick: number }[]
  /** TCP port for VNC on the loopback address; null for no display. */
  vnc: number | null
  /** File for a log of every write to the stick (`test/power/writelog.ts`); null for none. */
  writeLog: string | null
  /**
   * Address and TCP port in the PC's network, as `10.0.2.100:7777`, that lead to {@link COLLECTOR_SOCKET}: what is sent
   * there comes out here; null for none.
   */
  collector: string | null
  /** systemd credentials that the machine passes in (systemd.exec(5), "SMBIOS"). */
  credentials: Record<string, string>
}

/** What of a PC is soldered to it. */
export interface Board {
  chipset: 'q35' | 'i440fx'
  /** Where the stick is plugged in. */
  bus: 'xhci' | 'ehci' | 'uas' | 'ahci' | 'nvme' | 'virtio'
  nic: 'virtio' | 'e1000' | 'e1000e' | 'rtl8139' | 'none'
  /** A processor without SSE4 and AVX; it has no virtualization either. */
  old: boolean
  screen: boolean
}

/** What starts fastest. */
export const USUAL_BOARD: Board = { chipset: 'q35', bus: 'xhci', nic: 'virtio', old: false, screen: true }

/** A disk of the PC, beside the stick. The firmware does not start from it. */
export interface PcDisk {
  path: string
  format: 'raw' | 'qcow2'
  bus: 'usb' | 'sata'
  /** Plugged in before the stick: the kernel then finds it first. */
  before: boolean
}

export type { Firmware }

/** QEMU's own choice of a network, where nobody wants another. */
export const USUAL_NETWORK = '10.0.2.0/24'

/** Those of the PCs that this machine can be. */
export const FIRMWARE_FILES: Architecture['uefi'] = ARCHITECTURES[USUAL_ARCHITECTURE].uefi

/** Socket of the collector, in QEMU's own folder. */
export const COLLECTOR_SOCKET = 'collector'

/** First TCP port of VNC; QEMU counts displays from it. */
export const VNC_BASE = 5900

const MACHINE: Record<Board['chipset'], string> = { q35: 'q35', i440fx: 'pc' }

export function qemuArguments(pc: VirtualPc): string[] {
  return [
    '-name',
    'keyvisor',
    '-nodefaults',
    '-no-user-config',
    // Secure Boot needs SMM: only code in it may change the variables.
    '-machine',
    `${MACHINE[pc.board.chipset]},smm=${pc.firmware === 'secureboot' ? 'on' : 'off'}`,
    '-accel',
    pc.accelerator === 'tcg' ? 'tcg,thread=multi' : 'kvm',
    '-cpu',
    cpuModel(pc),
    '-smp',
    `${pc.cpus}`,
    '-m',
    `${Math.floor(pc.memory / MiB)}M`,
    ...(pc.clock === null ? [] : ['-rtc', `base=${pc.clock}`]),
    ...firmwareArguments(pc),
    ...stickArguments(pc),
    ...consoleArguments(pc),
    ...networkArguments(pc),
    ...Object.entries(pc.credentials).flatMap(([name, value]) => [
      '-smbios',
      `type=11,value=${escaped(`io.systemd.credential:${name}=${value}`)}`,
    ]),
  ]
}

/**
 * Intel's Core of 2006: all of x86-64-v1, which is what Debian asks for, and SSSE3. Also CMPXCHG16B, which it had, though
 * QEMU's model leaves it out: the stick's own QEMU ends by SIGILL where it emulates several CPUs without.
 */
const OLD_PROCESSOR = 'Conroe,cx16=on'

/** Fast string instructions: TCG goes byte by byte, and kernel and libc would rather take them than loops over words. */
const SLOW_UNDER_TCG = ['erms', 'fsrm', 'fzrm', 'fsrs', 'fsrc']

/**
 * Everything that the accelerator can do. Under TCG that is AMD's SVM too, and the stick runs its guests with real KVM;
 * under KVM the flag is that of this machine's own CPU. But page tables of five levels, which few PCs have: where they are
 * emulated, and a guest's lie in the host's, walking them costs a guest's start 5 % or more. And what is slower under TCG
 * than what it replaces: a host's start takes 16 % fewer instructions without.
 */
function cpuModel({ accelerator, virtualization, board }: VirtualPc): string {
  if (board.old) return OLD_PROCESSOR
  const off = [
    'la57',
    ...(accelerator === 'tcg' ? SLOW_UNDER_TCG : []),
    ...(virtualization ? [] : ['svm', 'vmx']),
  ]
  return ['max', ...off.map((flag) => `${flag}=off`)].join(',')
}

function firmwareArguments({ firmware, variables }: VirtualPc): string[] {
  if (firmware === 'bios') return []
  const secure = firmware === 'secureboot' ? ['-global', 'driver=cfi.pflash01,property=secure,value=on'] : []
  return [
    ...secure,
    '-drive',
    `if=pflash,format=raw,unit=0,readonly=on,file=${FIRMWARE_FILES[firmware].code}`,
    '-drive',
    `if=pflash,format=raw,unit=1,file=${escaped(variables)}`,
  ]
}

function stickArguments(pc: VirtualPc): string[] {
  const { disks, board } = pc
  const onSata = disks.filter(({ bus }) => bus === 'sata')
  const others = disks.map((disk, index) => ({
    disk,
    args: diskArguments(disk, `disk${index}`, onSata.indexOf(disk)),
  }))
  const argumentsOf = (before: boolean) =>
    others.filter(({ disk }) => disk.before === before).flatMap(({ args }) => args)
  return [
    ...usbController(board, disks),
    ...argumentsOf(true),
    '-drive',
    `if=none,id=stick,${stickDrive(pc)}`,
    ...stickDevices(board).flatMap((device) => ['-device', device]),
    ...argumentsOf(false),
  ]
}

/** A PC whose stick is on another bus has none, unless another disk needs one. */
function usbController({ bus }: Board, disks: readonly PcDisk[]): string[] {
  if (bus === 'ehci' || bus === 'uas') return ['-device', 'usb-ehci']
  const needed = bus === 'xhci' || disks.some((disk) => disk.bus === 'usb')
  return needed ? ['-device', 'qemu-xhci'] : []
}

/** The stick's device, behind the controllers that it needs. */
function stickDevices({ bus, chipset }: Board): string[] {
  switch (bus) {
    case 'xhci':
    case 'ehci':
      return ['usb-storage,drive=stick,bootindex=1']
    // At the speed of USB 2: SeaBIOS's driver refuses the streams of USB 3.
    case 'uas':
      return ['usb-uas,id=uas', 'scsi-hd,bus=uas.0,drive=stick,bootindex=1']
    case 'ahci':
      // q35 has a controller, whose last port this is; other disks are counted from its first.
      if (chipset === 'q35') return ['ide-hd,bus=ide.5,drive=stick,bootindex=1']
      return ['ahci,id=ahci', 'ide-hd,bus=ahci.0,drive=stick,bootindex=1']
    case 'nvme':
      return ['nvme,serial=stick,drive=stick,bootindex=1']
    case 'virtio':
      return ['virtio-blk-pci,drive=stick,bootindex=1']
  }
}

/**
 * A logged stick has the log's driver in front of the overlay: that driver must see every flush, and below it none is
 * needed, since no run of this machine is to survive a crash of this machine.
 */
function stickDrive({ stick, keep, writeLog }: VirtualPc): string {
  if (writeLog === null)
    return `format=qcow2,cache=${keep ? 'writeback' : 'unsafe'},discard=unmap,file=${escaped(stick)}`
  return [
    'driver=blklogwrites',
    'cache=writeback',
    'discard=unmap',
    'file.driver=qcow2',
    'file.discard=unmap',
    'file.cache.no-flush=on',
    'file.file.driver=file',
    `file.file.filename=${escaped(stick)}`,
    'log.driver=file',
    'log.cache.no-flush=on',
    `log.filename=${escaped(writeLog)}`,
  ].join(',')
}

/** `port` is one of the six of q35's SATA controller, each of which takes one disk. */
function diskArguments({ path, format, bus }: PcDisk, id: string, port: number): string[] {
  return [
    '-drive',
    `if=none,id=${id},format=${format},file=${escaped(path)}`,
    '-device',
    bus === 'usb' ? `usb-storage,drive=${id}` : `ide-hd,drive=${id},bus=ide.${port}`,
  ]
}

function consoleArguments({ serialLog, reportLog, qmp, vnc, board }: VirtualPc): string[] {
  return [
    '-vga',
    board.screen ? 'std' : 'none',
    '-display',
    vnc === null ? 'none' : `vnc=127.0.0.1:${vnc - VNC_BASE}`,
    '-chardev',
    `file,id=serial,path=${escaped(serialLog)}`,
    '-serial',
    'chardev:serial',
    '-device',
    'virtio-serial-pci',
    '-chardev',
    `file,id=report,path=${escaped(reportLog)}`,
    '-device',
    `virtserialport,chardev=report,name=${REPORT_PORT}`,
    '-qmp',
    `unix:${escaped(qmp)},server=on,wait=off`,
  ]
}

/** No option ROM: a PC that finds no stick must not try the network for half a minute. */
function networkArguments({ forwards, network, board, collector }: VirtualPc): string[] {
  if (board.nic === 'none') return []
  const card = board.nic === 'virtio' ? 'virtio-net-pci' : board.nic
  const hostForwards = forwards.map(({ here, stick }) => `,hostfwd=tcp:127.0.0.1:${here}-:${stick}`)
  const guestForward = collector === null ? '' : `,guestfwd=tcp:${collector}-chardev:collector`
  const socket = `socket,id=collector,path=${COLLECTOR_SOCKET},server=on,wait=off`
  return [
    ...(collector === null ? [] : ['-chardev', socket]),
    '-netdev',
    `user,id=uplink,net=${network}${hostForwards.join('')}${guestForward}`,
    '-device',
    `${card},netdev=uplink,romfile=`,
  ]
}

/** In an option of QEMU a comma ends a value, unless it is doubled. */
function escaped(value: string): string {
  return value.replaceAll(',', ',,')
}
