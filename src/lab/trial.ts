/**
 * A trial: an image is run as a stick in a virtual PC, with all that a person or a test wants to reach it by.
 *
 * Left out: whether it did well (`prove.ts`).
 */

import { copyFile, readFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { KeyvisorError } from '../base/errors.js'
import { ifThere } from '../base/file-errors.js'
import { systemTools, type ToolRunner } from '../base/tool.js'
import { type Bytes, formatBytes, GiB, MiB } from '../base/units.js'
import { writeFile } from '../base/write-file.js'
import type { Accelerator } from '../guest/definition.js'
import type { ReportEvent } from '../guest/report.js'
import { type Inspection, inspectImage } from '../media/inspect.js'
import { bestAccelerator } from '../pc/accelerator.js'
import type { Machine } from '../pc/catalogue.js'
import { freePort, giveBack } from '../pc/ports.js'
import { type Session, startSession, type Watch } from '../pc/session.js'
import type { Firmware } from '../pc/virtual-pc.js'
import {
  type Board,
  FIRMWARE_FILES,
  type PcDisk,
  USUAL_BOARD,
  USUAL_NETWORK,
  type VirtualPc,
  VNC_BASE,
} from '../pc/virtual-pc.js'
import { MANIFEST_VERSION, otherVersion, type StickManifest } from '../stick/manifest.js'
import type { Workplace } from '../store/workplace.js'
import { openLab } from '../tools/lab-tools.js'
import { openOverlay } from './overlay.js'

export interface TrialOptions {
  /** Default: one that can start the stick, `bios` before others. */
  firmware?: Firmware
  /** Of the PC; default 3 GiB. */
  memory?: Bytes
  /** Default 2, under TCG 1: see {@link usualCpus}. */
  cpus?: number
  /** Default 8 GiB, or more where the image needs it. */
  stickSize?: Bytes
  /** The screen on a loopback VNC port. */
  display?: boolean
  /** A one-time key for the stick's admin. */
  ssh?: boolean
  /** File for the changes, used again where it is there; else they are thrown away. */
  keep?: string
  /** Default: KVM where it works. */
  accelerator?: Accelerator
  /** Whether the stick's guests can have KVM, which is always so under TCG; default true. */
  virtualization?: boolean
  /** Default {@link USUAL_BOARD}. */
  board?: Board
  /** The PC's own disks. They are written as the stick has it: hand in copies. */
  disks?: PcDisk[]
  /** Subnet of the PC's network; default {@link USUAL_NETWORK}. */
  network?: string
  /** What the PC's clock says when it is switched on, as `2001-02-03T04:05:06`; default the time of here. */
  clock?: string
  /** File for a log of every write to the stick, made anew (`test/power/writelog.ts`). */
  writeLog?: string
  /** Where guests can send lines to, in the PC's network: `10.0.2.100:7777` (TCP). */
  collector?: string
  onEvent?: (event: ReportEvent) => void
  /** Lines of the stick's first serial port. */
  onSerial?: (line: string) => void
  /** Lines that came to the collector. */
  onCollected?: (line: string) => void
}

/** A port of a guest that can be reached from here. */
export interface Link {
  guest: string
  /** As a browser takes it; whether it speaks HTTP only the guest knows. */
  url: string
}

export interface Trial extends Session {
  pc: VirtualPc
  manifest: StickManifest
  /** The session's own folder, removed at its end. */
  folder: string
  links: Link[]
  /** The command that logs in; null where nobody has a key. */
  ssh: string[] | null
  /** Every event so far. */
  events: ReportEvent[]
}

/** The least with which the host starts. */
const LEAST_MEMORY: Bytes = 512 * MiB

/**
 * Runs an image, hands it to `use`, and has it switched off and cleaned up when that ends. The image is only read.
 * `run.signal` ends the preparations; what it means for a running stick is up to `use`.
 *
 * Throws `no-such-file`, `not-an-image`, `not-a-stick`, `stick-too-small`, `bad-memory`, and those of {@link openLab}
 * and QEMU itself.
 */
export async function withTrial<T>(
  image: string,
  options: TrialOptions,
  place: Workplace,
  use: (trial: Trial) => Promise<T>,
): Promise<T> {
  checkOptions(options)
  return place.store.leased(() => leasedTrial(image, options, place, use))
}

async function leasedTrial<T>(
  image: string,
  options: TrialOptions,
  place: Workplace,
  use: (trial: Trial) => Promise<T>,
): Promise<T> {
  const inspection = await inspectImage(image)
  const tools = await openLab(place)
  return place.store.inScratch('trial', async (folder) => {
    const trial = await startTrial(inspection, options, folder, place, tools)
    try {
      return await use(trial)
    } finally {
      await trial.kill()
      giveBack([
        ...trial.pc.forwards.map(({ here }) => here),
        ...(trial.pc.vnc === null ? [] : [trial.pc.vnc]),
      ])
    }
  })
}

function checkOptions({ memory }: TrialOptions): void {
  if (memory === undefined || memory >= LEAST_MEMORY) return
  throw new KeyvisorError('bad-memory', `${formatBytes(memory)} of memory is less than the host needs`, {
    hint: `give it ${formatBytes(LEAST_MEMORY)} or more`,
  })
}

async function startTrial(
  inspection: Inspection,
  options: TrialOptions,
  folder: string,
  place: Workplace,
  tools: ToolRunner,
): Promise<Trial> {
  const manifest = stickManifest(inspection)
  const pc = await makePc(manifest, options, folder, place, tools)
  if (pc.firmware !== 'bios') {
    await tools.run({
      tool: 'cp',
      args: ['--no-preserve=mode', FIRMWARE_FILES[pc.firmware].variables, pc.variables],
      binds: [{ path: folder, write: true }],
    })
  }
  await openOverlay(inspection, pc.stick, options.stickSize, tools)
  const key = options.ssh ? await makeKey(folder) : undefined
  if (key) pc.credentials['keyvisor.ssh-key'] = (await readFile(`${key}.pub`, 'utf8')).trim()
  const events: ReportEvent[] = []
  const watch: Watch = {
    onEvent(event) {
      events.push(event)
      options.onEvent?.(event)
    },
    onSerial: (line) => options.onSerial?.(line),
    onCollected: (line) => options.onCollected?.(line),
  }
  place.signal?.throwIfAborted()
  // QEMU writes into a file that is there.
  if (pc.writeLog !== null) await writeFile(pc.writeLog, '')
  const logs = pc.writeLog === null ? [] : [pc.writeLog]
  const written = [pc.stick, ...logs, ...pc.disks.map(({ path }) => resolve(path))]
  const binds = [{ path: resolve(inspection.path) }, ...written.map((path) => ({ path, write: true }))]
  const session = await startSession(pc, folder, binds, watch, tools)
  const links = linksOf(manifest, pc)
  return { ...session, pc, manifest, folder, links, ssh: sshCommand(manifest, pc, key), events }
}

/** Throws `not-a-stick`. */
export function stickManifest({ path, manifest }: Pick<Inspection, 'path' | 'manifest'>): StickManifest {
  const found = manifest as unknown as StickManifest | null
  const other = otherVersion(found)
  if (other) {
    throw new KeyvisorError('not-a-stick', `the manifest of ${path} ${other}`, {
      hint: 'take the Keyvisor that built it, or build it anew',
    })
  }
  if (found?.version === MANIFEST_VERSION && Array.isArray(found.guests) && found.host) return found
  throw new KeyvisorError(
    'not-a-stick',
    `${path} is a disk image, but has no manifest that this Keyvisor can read`,
    {
      hint: 'name an image that `keyvisor build` wrote',
    },
  )
}

async function makePc(
  manifest: StickManifest,
  options: TrialOptions,
  folder: string,
  place: Workplace,
  tools: ToolRunner,
): Promise<VirtualPc> {
  const accelerator = options.accelerator ?? (await bestAccelerator(tools, folder, place.signal))
  const board = options.board ?? USUAL_BOARD
  return {
    firmware: options.firmware ?? usualFirmware(manifest),
    memory: options.memory ?? 3 * GiB,
    cpus: options.cpus ?? usualCpus(accelerator),
    accelerator,
    virtualization: options.virtualization ?? true,
    board,
    disks: (options.disks ?? []).map((disk) => ({ ...disk, path: resolve(disk.path) })),
    network: options.network ?? USUAL_NETWORK,
    clock: options.clock ?? null,
    stick: options.keep ? resolve(options.keep) : join(folder, 'stick.qcow2'),
    keep: options.keep !== undefined,
    variables: join(folder, 'variables.fd'),
    serialLog: join(folder, 'serial.log'),
    reportLog: join(folder, 'report.jsonl'),
    qmp: 'qmp',
    forwards: board.nic === 'none' ? [] : await forwardsFor(manifest),
    vnc: options.display ? await freePort(VNC_PORTS) : null,
    writeLog: options.writeLog ? resolve(options.writeLog) : null,
    collector: options.collector ?? null,
    credentials: {},
  }
}

/** The one that starts fastest. */
function usualFirmware({ firmware }: StickManifest): Firmware {
  // What a stick says of itself is not to be believed: a later check has no part in this.
  const named = Array.isArray(firmware) ? firmware : FASTEST_FIRST
  return FASTEST_FIRST.find((kind) => named.includes(kind)) ?? 'bios'
}

const FASTEST_FIRST: readonly Firmware[] = ['bios', 'uefi', 'secureboot']

/**
 * QEMU emulates each CPU in a thread of its own, and with two of them the stick's guests, under the emulated KVM, hang now
 * and then: in four of ten runs of the demo, where one was found lost in its SeaBIOS. With one CPU, in none of five.
 */
function usualCpus(accelerator: Accelerator): number {
  return accelerator === 'tcg' ? 1 : 2
}

/** What VNC viewers call displays 0 to 9. */
const VNC_PORTS = Array.from({ length: 10 }, (_, display) => VNC_BASE + display)

const SSH_PORT = 22

/** The ports of the guests keep their numbers where those are free here. */
async function forwardsFor({ guests }: StickManifest): Promise<VirtualPc['forwards']> {
  const forwards = [{ here: await freePort([2222]), stick: SSH_PORT }]
  for (const { host } of guests.flatMap(({ ports }) => ports))
    forwards.push({ here: await freePort([host]), stick: host })
  return forwards
}

function linksOf({ guests }: StickManifest, { forwards }: VirtualPc): Link[] {
  if (forwards.length === 0) return []
  return guests.flatMap(({ name, ports }) =>
    ports.map(({ host }) => ({ guest: name, url: `http://127.0.0.1:${portHere(forwards, host)}/` })),
  )
}

function portHere(forwards: VirtualPc['forwards'], stick: number): number {
  const found = forwards.find((forward) => forward.stick === stick)
  if (!found) throw new Error(`BUG: port ${stick} is not forwarded`)
  return found.here
}

/** A key for this trial alone: an ed25519 pair in the session's folder. Returns the private one's path. */
async function makeKey(folder: string): Promise<string> {
  const key = join(folder, 'key')
  await systemTools.run({
    tool: 'ssh-keygen',
    args: ['-q', '-t', 'ed25519', '-N', '', '-C', 'trial', '-f', key],
  })
  return key
}

/** The host key is another one in each trial: to remember it would only make the next one look like an attack. */
function sshCommand(
  { host }: StickManifest,
  { forwards }: VirtualPc,
  key: string | undefined,
): string[] | null {
  if (forwards.length === 0 || (!key && host.keys === 0)) return null
  const known = [
    '-o',
    'StrictHostKeyChecking=no',
    '-o',
    'UserKnownHostsFile=/dev/null',
    '-o',
    'LogLevel=ERROR',
  ]
  const identity = key ? ['-i', key, '-o', 'IdentitiesOnly=yes'] : []
  return ['ssh', ...identity, ...known, '-p', `${portHere(forwards, SSH_PORT)}`, `${host.admin}@127.0.0.1`]
}

/** Saves what a trial leaves behind, under fixed names, in a folder that is there. The stick may have written neither. */
export async function saveReport({ pc }: Trial, target: string): Promise<void> {
  await ifThere(copyFile(pc.serialLog, join(target, 'serial.log')))
  await ifThere(copyFile(pc.reportLog, join(target, 'report.jsonl')))
}

/** How a trial is run in this PC. */
export function trialIn({ firmware, memory, cpus, processor, board }: Machine): TrialOptions {
  return { firmware, memory, cpus, virtualization: processor === 'virtualization', board }
}
