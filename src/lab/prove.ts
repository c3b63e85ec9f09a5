/**
 * The proof that an image boots: it is started, and passes only on the stick's own report.
 */

import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { KeyvisorError } from '../base/errors.js'
import { makeFolder } from '../base/make-folder.js'
import { step } from '../base/progress.js'
import { which } from '../base/tool.js'
import { inOneLine } from '../base/tool-errors.js'
import type { Bytes } from '../base/units.js'
import type { Accelerator } from '../guest/definition.js'
import { STOP_WITHIN } from '../guest/hypervisor.js'
import { consoleLines, type GuestEvent, type ReportEvent } from '../guest/report.js'
import type { Sized } from '../guest/sizing.js'
import type { Ending } from '../pc/session.js'
import type { Firmware } from '../pc/virtual-pc.js'
import type { ManifestGuest, StickManifest } from '../stick/manifest.js'
import type { Workplace } from '../store/workplace.js'
import { otherDisks } from './expected-disks.js'
import { sizesOn, tooMuchOf } from './expected-sizes.js'
import { openScreens, type Screen, type Screens } from './screens.js'
import { type Moment, openTimeline, type Timeline } from './timeline.js'
import { saveReport, type Trial, type TrialOptions, withTrial } from './trial.js'

export interface ProveOptions extends TrialOptions {
  /** Folder for report.jsonl, serial.log, and pictures. With it, guests are asked for theirs by a one-time key. */
  report?: string
  /** Seconds that the stick has to say that it is done; default: by guests and accelerator. */
  deadline?: number
  /** A guest that this PC is too small for is no failure, if the stick says why it left it out. */
  mayLeaveOut?: boolean
  /** Checks of the caller's own, made when there is nothing more to wait for; `sized` is what guests were to have. */
  examine?: (trial: Trial, sized: readonly Sized[]) => Check[]
  /** Called when the boot has passed, while the stick runs; what it throws is thrown on. */
  visit?: (trial: Trial) => Promise<void>
}

export interface Check {
  /**
   * `host`, `restart`, `guest NAME`, `problem CODE`, `data`, `report`, `shutdown`, or `qemu` where that broke down. A walk has
   * those of `walk-checks.ts`, `other disk`, and `trial` for a PC on which there was no boot.
   */
  name: string
  passed: boolean
  /** In words for a person. */
  detail: string
}

export interface Proof {
  passed: boolean
  firmware: Firmware
  accelerator: Accelerator
  memory: Bytes
  cpus: number
  virtualization: boolean
  checks: Check[]
  events: ReportEvent[]
  /** From power-on to the verdict, by the clock of this machine. */
  seconds: number
  /** The last lines of the stick's serial console. */
  serialTail: string[]
  shutdown: Ending
  /** When what was heard. */
  timings: Moment[]
  /** In the order in which they were taken; none without a report. */
  screens: Screen[]
  /** What a report should picture and does not, and why. */
  unseen: string[]
  /** Folder of the report, as an absolute path; null where none was asked for. */
  report: string | null
}

/** Seconds for the host, for each guest, and for the host's end, where KVM works; TCG_FACTOR times that under TCG. */
const PATIENCE = { host: 120, guest: 120, end: 60 }

/** Emulation is five to ten times slower than KVM, but little of a boot is computing. */
const TCG_FACTOR = 4

const TAIL_LINES = 20

/**
 * Boots an image and judges the boot. Throws what {@link withTrial} throws; a stick that fails is an answer, and so is a QEMU
 * that breaks down while it runs.
 */
export async function proveImage(image: string, options: ProveOptions, place: Workplace): Promise<Proof> {
  const report = options.report === undefined ? null : resolve(options.report)
  if (report) await makeFolder(report)
  const proof = await proveOnce(image, options, report, place)
  // A kept stick is not what it was: a new try would prove something else.
  const again = options.keep === undefined && options.virtualization !== false
  return again && proof.checks.some(({ name }) => name === 'qemu')
    ? proveEmulated(image, options, report, place)
    : proof
}

/**
 * Without hardware virtualization in the PC, whose emulation is what QEMU breaks down on: the stick's guests are
 * emulated, which takes longer and proves the same of the image.
 */
async function proveEmulated(
  image: string,
  options: ProveOptions,
  report: string | null,
  place: Workplace,
): Promise<Proof> {
  const title = 'QEMU broke down, not the stick: again, in a PC without hardware virtualization'
  return step(place.progress, { stage: 'boot', title }, () =>
    proveOnce(image, { ...options, virtualization: false }, report, place),
  )
}

function proveOnce(
  image: string,
  options: ProveOptions,
  report: string | null,
  place: Workplace,
): Promise<Proof> {
  const outcome = settled()
  const timeline = openTimeline()
  const screens = report === null ? null : openScreens(report)
  const onEvent = (event: ReportEvent) => {
    timeline.hear(event)
    options.onEvent?.(event)
    outcome.hear(event)
  }
  const onSerial = (line: string) => {
    timeline.hearLine(line)
    screens?.hearLine(line)
    options.onSerial?.(line)
  }
  const ssh = options.ssh ?? (screens !== null && canAsk())
  return withTrial(image, { ...options, ssh, onEvent, onSerial }, place, (trial) => {
    timeline.start()
    screens?.watch(trial)
    return judge(trial, { reached: outcome.reached, timeline, screens, report }, options, place.signal)
  })
}

/** Without these, a report just has no pictures of guests. */
function canAsk(): boolean {
  return ['ssh', 'ssh-keygen'].every((tool) => which(tool) !== undefined)
}

/** What watches a boot. */
interface Watching {
  reached: Promise<void>
  timeline: Timeline
  screens: Screens | null
  report: string | null
}

/** Waits, and makes the proof. Pictures and the stick's end come between the checks, each at its time. */
export async function judge(
  trial: Trial,
  { reached, timeline, screens, report }: Watching,
  options: ProveOptions,
  signal: AbortSignal | undefined,
): Promise<Proof> {
  const began = Date.now()
  const factor = trial.pc.accelerator === 'tcg' ? TCG_FACTOR : 1
  const why = await wait(trial, reached, options.deadline ?? patience(trial.manifest) * factor, signal)
  const seconds = Math.round((Date.now() - began) / 100) / 10
  const sized = sizesOn(trial)
  const checks = judgeEvents(trial.events, trial.manifest, why, tooMuchOf(options.mayLeaveOut ? sized : []))
  const good = checks.every((check) => check.passed)
  await screens?.close(trial, { done: isDone(trial.events), good }, signal)
  if (good) await options.visit?.(trial)
  const { shutdown, broke } = await end(trial, good ? STOP_WITHIN + PATIENCE.end * factor : 0)
  if (shutdown === 'off') timeline.end()
  if (broke) checks.push({ name: 'qemu', passed: false, detail: inOneLine(broke) })
  else if (good) checks.push(shutdownCheck(shutdown))
  // Not before: a guest that is another than it was is no reason to pull the plug.
  checks.push(...(options.examine?.(trial, sized) ?? []))
  if (report) await saveReport(trial, report)
  const { firmware, accelerator, memory, cpus, virtualization } = trial.pc
  return {
    passed: checks.every((check) => check.passed),
    firmware,
    accelerator,
    memory,
    cpus,
    virtualization,
    checks,
    events: trial.events,
    seconds,
    serialTail: await serialTail(trial),
    shutdown,
    timings: timeline.moments(),
    screens: screens?.taken() ?? [],
    unseen: screens?.missing() ?? [],
    report,
  }
}

/** Ends the trial, and finds out whether QEMU did before. */
async function end(
  trial: Trial,
  patience: number,
): Promise<{ shutdown: Ending; broke?: KeyvisorError | undefined }> {
  return trial.shutDown(patience).then(
    (shutdown) => ({ shutdown }),
    (broke: KeyvisorError) => ({ shutdown: 'killed', broke }),
  )
}

/** Settles when there is nothing more to wait for: the report is at its end, or the stick stopped before its host. */
function settled() {
  let settle = () => {}
  const reached = new Promise<void>((resolve) => {
    settle = resolve
  })
  let up = false
  const hear = ({ event }: ReportEvent) => {
    if (event === 'host') up = true
    if (event === 'done') settle()
    // A problem in the initrd either stops the boot, or is told again by the host, which then comes soon.
    if (event === 'problem' && !up) setTimeout(() => up || settle(), STOPPED_AFTER * 1000).unref()
  }
  return { reached, hear }
}

/** Seconds in which the host comes up after the initrd met a problem that does not stop it. */
const STOPPED_AFTER = 120

function patience({ guests }: StickManifest): number {
  return PATIENCE.host + PATIENCE.guest * guests.filter(({ autostart }) => autostart !== null).length
}

/** Why there is no more to wait for, in words; empty when the stick said that it is done. */
async function wait(
  trial: Trial,
  reached: Promise<void>,
  seconds: number,
  signal: AbortSignal | undefined,
): Promise<string> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<string>((resolve) => {
    timer = setTimeout(resolve, seconds * 1000, `within ${Math.round(seconds)} s`)
  })
  const done = reached.then(() => (isDone(trial.events) ? '' : 'before the stick stopped'))
  const off = trial.ended.then(
    () => (isDone(trial.events) ? '' : 'before the PC was switched off'),
    () => 'before QEMU broke down',
  )
  const interrupted = new Promise<never>((_, reject) => {
    signal?.addEventListener('abort', () => reject(signal.reason), { once: true })
    if (signal?.aborted) reject(signal.reason)
  })
  try {
    return await Promise.race([done, late, off, interrupted])
  } finally {
    clearTimeout(timer)
  }
}

function isDone(events: readonly ReportEvent[]): boolean {
  return events.some(({ event }) => event === 'done')
}

/**
 * What a boot's events prove. Pure.
 *
 * @param why there are no more events, such as `within 300 s`; empty when the report is complete
 * @param leftOut guests that are not expected to start, by name, and the reason that the stick is to give
 */
export function judgeEvents(
  events: readonly ReportEvent[],
  manifest: StickManifest,
  why: string,
  leftOut: ReadonlyMap<string, string> = new Map(),
): Check[] {
  const host = events.find((event) => event.event === 'host')
  const detail = host ? `up after ${Math.round(host.seconds)} s` : `it did not say that it is up ${why}`
  const checks: Check[] = [{ name: 'host', passed: host !== undefined, detail }]
  const starts = events.filter(({ event }) => event === 'host').length
  if (starts > 1)
    checks.push({ name: 'restart', passed: false, detail: `the host came up ${starts} times in one boot` })
  for (const guest of manifest.guests) {
    const told = events.findLast((event) => event.event === 'guest' && event.name === guest.name)
    if (guest.autostart === null) continue
    const reason = leftOut.get(guest.name)
    checks.push(
      reason === undefined
        ? guestCheck(guest, told as GuestEvent | undefined, host !== undefined, why)
        : leftOutCheck(guest, told as GuestEvent | undefined, reason),
    )
  }
  for (const event of events) {
    if (event.event === 'problem')
      checks.push({ name: `problem ${event.code}`, passed: false, detail: event.message })
    if (event.event === 'data' && event.state === 'full')
      checks.push({ name: 'data', passed: false, detail: `full; paused: ${event.guests.join(', ')}` })
  }
  if (host && !isDone(events))
    checks.push({ name: 'report', passed: false, detail: `it did not come to its end ${why}` })
  return checks
}

function guestCheck(guest: ManifestGuest, told: GuestEvent | undefined, up: boolean, why: string): Check {
  const { name, ready } = guest
  const check = (passed: boolean, detail: string): Check => ({ name: `guest ${name}`, passed, detail })
  if (!told && up && why) return check(false, `it was not ready ${why}`)
  if (!told) return check(false, `the stick said nothing of it ${why}`.trimEnd())
  // With a note, it is a domain that somebody edited.
  const others = told.hardware && told.note === '' ? otherDisks(told.hardware, guest) : ''
  if (others) return check(false, others)
  if (told.state === 'ready') return check(true, `ready after ${Math.round(told.seconds)} s`)
  if (told.state === 'started' && ready.kind === 'none') return check(true, 'started, not proven')
  return check(false, told.reason ? `${told.state}: ${told.reason}` : told.state)
}

function leftOutCheck({ name }: ManifestGuest, told: GuestEvent | undefined, reason: string): Check {
  const passed = told?.state === 'skipped' && told.reason === reason
  const said = told ? `${told.state}: ${told.reason}` : 'nothing'
  const detail = passed
    ? `left out: ${reason}`
    : `was to be left out, since it ${reason}; the stick says ${said}`
  return { name: `guest ${name}`, passed, detail }
}

function shutdownCheck(ending: Ending): Check {
  const off = ending === 'off'
  return {
    name: 'shutdown',
    passed: off,
    detail: off ? 'switched itself off' : 'it did not switch itself off when the power button was pressed',
  }
}

async function serialTail({ pc }: Trial): Promise<string[]> {
  const text = await readFile(pc.serialLog, 'utf8').catch(() => '')
  return consoleLines(`${text}\n`)
    .filter((line) => line !== '')
    .slice(-TAIL_LINES)
}
