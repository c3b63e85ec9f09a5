/**
 * Which accelerator this machine really has. That /dev/kvm can be opened, and that QEMU calls KVM enabled, proves
 * nothing: on some cloud machines every guest then hangs or aborts. So a guest is run, with a time limit.
 */

import { constants } from 'node:fs'
import { access } from 'node:fs/promises'
import { join } from 'node:path'
import { ARCHITECTURES, USUAL_ARCHITECTURE } from '../arch/architecture.js'
import type { ToolRunner } from '../base/tool.js'
import { ToolError } from '../base/tool-errors.js'
import { MiB } from '../base/units.js'
import { writeFile } from '../base/write-file.js'
import type { Accelerator } from '../guest/definition.js'

/** Seconds for what takes a tenth of one where KVM works. */
const PROBE_TIMEOUT = 10

/**
 * A KVM that takes longer than this, in seconds, and so many times as long as emulation, is emulated itself. Seen: 2.8 s
 * against 0.1 s, on a cloud machine where the probe's guest ran to its end and every kernel hung.
 */
const SLOW = 1
const TIMES_SLOWER = 4

/** What the probe's guest says on QEMU's debug console. */
const SIGN = 'K'

/** A disk that a PC's BIOS starts: it says SIGN, and switches the PC off. */
function probeDisk(): Buffer {
  const disk = Buffer.alloc(MiB)
  disk.set([
    0xb0,
    SIGN.charCodeAt(0),
    0xe6,
    0xe9, // mov al,SIGN; out 0xe9,al: QEMU's isa-debugcon
    0xba,
    0x04,
    0x06,
    0xb8,
    0x00,
    0x20,
    0xef, // mov dx,0x604; mov ax,0x2000; out dx,ax: ACPI S5 of q35
    0xf4,
    0xeb,
    0xfd, // hlt; jmp to hlt
  ])
  disk.set([0x55, 0xaa], 510)
  return disk
}

let answer: Promise<Accelerator> | undefined

/** KVM where a guest ran with it, else TCG. Asked once in a process. */
export function bestAccelerator(
  tools: ToolRunner,
  scratch: string,
  signal?: AbortSignal,
): Promise<Accelerator> {
  answer ??= probe(tools, scratch, signal).catch((error) => {
    answer = undefined
    throw error
  })
  return answer
}

/** As {@link bestAccelerator}, each time anew. */
async function probe(tools: ToolRunner, scratch: string, signal?: AbortSignal): Promise<Accelerator> {
  const usable = await access('/dev/kvm', constants.R_OK | constants.W_OK).then(
    () => true,
    () => false,
  )
  return usable ? fasterOne(tools, scratch, signal) : 'tcg'
}

/** Which one to take where there is a /dev/kvm: KVM, unless it runs no guest, or only as if it were emulated itself. */
export async function fasterOne(
  tools: ToolRunner,
  scratch: string,
  signal?: AbortSignal,
): Promise<Accelerator> {
  const kvm = await secondsOf('kvm', tools, scratch, signal)
  if (kvm === undefined) return 'tcg'
  if (kvm < SLOW) return 'kvm'
  const tcg = await secondsOf('tcg', tools, scratch, signal)
  return tcg !== undefined && kvm > tcg * TIMES_SLOWER ? 'tcg' : 'kvm'
}

/** Seconds that the probe's guest takes; undefined where it does not run. */
async function secondsOf(
  accelerator: Accelerator,
  tools: ToolRunner,
  scratch: string,
  signal?: AbortSignal,
): Promise<number | undefined> {
  const started = Date.now()
  const runs = await runsGuestCode(accelerator, tools, scratch, signal)
  return runs ? (Date.now() - started) / 1000 : undefined
}

/** Runs the probe's guest with the CPU that the lab's PCs have. Throws Interrupted, and ToolError where QEMU did not run. */
export async function runsGuestCode(
  accelerator: Accelerator,
  tools: ToolRunner,
  scratch: string,
  signal?: AbortSignal,
): Promise<boolean> {
  const disk = join(scratch, `probe-${accelerator}.img`)
  await writeFile(disk, probeDisk())
  const args = [
    '-nodefaults',
    '-no-user-config',
    '-machine',
    'q35',
    '-accel',
    accelerator,
    '-cpu',
    'max',
    '-m',
    '64M',
    '-display',
    'none',
    '-no-reboot',
    '-debugcon',
    'stdio',
    '-drive',
    `if=none,id=disk,format=raw,file=${disk.replaceAll(',', ',,')}`,
    '-device',
    'ide-hd,drive=disk',
  ]
  const device = accelerator === 'kvm' ? [{ path: '/dev/kvm', device: true }] : []
  const call = {
    tool: ARCHITECTURES[USUAL_ARCHITECTURE].qemu.program,
    args,
    timeout: PROBE_TIMEOUT,
    ...(signal ? { signal } : {}),
  }
  try {
    const { stdout } = await tools.run({ ...call, binds: [{ path: disk, write: true }, ...device] })
    return stdout.includes(SIGN)
  } catch (error) {
    if (isAnswer(error)) return false
    throw error
  }
}

/**
 * QEMU says no, hangs or breaks down: so is KVM here. That it never started, was killed, or found no memory says
 * nothing of KVM.
 */
function isAnswer(error: unknown): boolean {
  if (!(error instanceof ToolError) || /Cannot allocate memory/.test(error.message)) return false
  if (error.code === 'tool-killed') return error.signal !== 'SIGKILL'
  return error.code === 'tool-failed' || error.code === 'tool-timeout'
}
