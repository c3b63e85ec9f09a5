/**
 * A PC as data, and the QEMU command line that is that PC: pure, golden-tested.
 *
 * The stick is a USB disk, as it will be. Nothing else of the PC could be booted from, so that a stick that does not
 * start ends in the firmware, and never somewhere else. (QEMU, "qemu-system-x86_64" invocation.)
 * Left out: starting it (`session.ts`).
 */
import { type Bytes, MiB } from '../base/units.js'
import { REPORT_PORT } from '../plan/report.js'
import type { Accelerator, Firmware } from '../plan/types.js'

export interface VirtualPc {
  firmware: Firmware
  memory: Bytes
  cpus: number
  accelerator: Accelerator
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
  /** systemd credentials that the machine passes in (systemd.exec(5), "SMBIOS"). */
  credentials: Record<string, string>
}

interface FirmwareFiles {
  code: string
  variables: string
}

/** Debian's OVMF (package `ovmf`, README.Debian). `.ms` variables have Microsoft's keys enrolled. */
export const FIRMWARE_FILES: Record<Exclude<Firmware, 'bios'>, FirmwareFiles> = {
  uefi: { code: '/usr/share/OVMF/OVMF_CODE_4M.fd', variables: '/usr/share/OVMF/OVMF_VARS_4M.fd' },
  secureboot: {
    code: '/usr/share/OVMF/OVMF_CODE_4M.secboot.fd',
    variables: '/usr/share/OVMF/OVMF_VARS_4M.ms.fd',
  },
}

/** First TCP port of VNC; QEMU counts displays from it. */
export const VNC_BASE = 5900

export function qemuArguments(pc: VirtualPc): string[] {
  return [
    ...['-name', 'keyvisor', '-nodefaults', '-no-user-config'],
    // Secure Boot needs SMM: only code in it may change the variables.
    ...['-machine', `q35,smm=${pc.firmware === 'secureboot' ? 'on' : 'off'}`],
    ...['-accel', pc.accelerator === 'tcg' ? 'tcg,thread=multi' : 'kvm', '-cpu', CPU[pc.accelerator]],
    ...['-smp', `${pc.cpus}`, '-m', `${Math.floor(pc.memory / MiB)}M`],
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

/** Everything that the accelerator can do, AMD's SVM among it under TCG: the stick runs its guests with real KVM. */
export const CPU: Record<Accelerator, string> = { kvm: 'max', tcg: 'max' }

function firmwareArguments({ firmware, variables }: VirtualPc): string[] {
  if (firmware === 'bios') return []
  const secure = firmware === 'secureboot' ? ['-global', 'driver=cfi.pflash01,property=secure,value=on'] : []
  return [
    ...secure,
    ...['-drive', `if=pflash,format=raw,unit=0,readonly=on,file=${FIRMWARE_FILES[firmware].code}`],
    ...['-drive', `if=pflash,format=raw,unit=1,file=${escaped(variables)}`],
  ]
}

function stickArguments({ stick, keep }: VirtualPc): string[] {
  const cache = keep ? 'writeback' : 'unsafe'
  return [
    ...['-device', 'qemu-xhci'],
    ...['-drive', `if=none,id=stick,format=qcow2,cache=${cache},discard=unmap,file=${escaped(stick)}`],
    ...['-device', 'usb-storage,drive=stick,bootindex=1'],
  ]
}

function consoleArguments({ serialLog, reportLog, qmp, vnc }: VirtualPc): string[] {
  return [
    ...['-vga', 'std', '-display', vnc === null ? 'none' : `vnc=127.0.0.1:${vnc - VNC_BASE}`],
    ...['-chardev', `file,id=serial,path=${escaped(serialLog)}`, '-serial', 'chardev:serial'],
    ...['-device', 'virtio-serial-pci', '-chardev', `file,id=report,path=${escaped(reportLog)}`],
    ...['-device', `virtserialport,chardev=report,name=${REPORT_PORT}`],
    ...['-qmp', `unix:${escaped(qmp)},server=on,wait=off`],
  ]
}

/** No option ROM: a PC that finds no stick must not try the network for half a minute. */
function networkArguments({ forwards }: VirtualPc): string[] {
  const hostForwards = forwards.map(({ here, stick }) => `,hostfwd=tcp:127.0.0.1:${here}-:${stick}`)
  return [
    ...['-netdev', `user,id=uplink${hostForwards.join('')}`],
    ...['-device', 'virtio-net-pci,netdev=uplink,romfile='],
  ]
}

/** In an option of QEMU a comma ends a value, unless it is doubled. */
function escaped(value: string): string {
  return value.replaceAll(',', ',,')
}
