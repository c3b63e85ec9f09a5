/**
 * One recording for the tests of a pulled plug: every write of a stick's first boot and of the guest on it, which tells a
 * collector of each record that is safe. After that comes the control: the guest's disk ignores flushes, on purpose.
 *
 * Kept in out/test/power. `power-loss.test.ts` makes a new one, but for RECORDING=keep; `power-boots.test.ts` takes what is there.
 */
import { statSync } from 'node:fs'
import { mkdir, open, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { systemTools } from '../../src/base/tool.js'
import { type Bytes, GiB } from '../../src/base/units.js'
import type { GuestEvent, ReportEvent } from '../../src/guest/report.js'
import { withTrial } from '../../src/lab/trial.js'
import { type Inspection, inspectImage } from '../../src/media/inspect.js'
import { openCheckTools } from '../../src/tools/lab-tools.js'
import { sleep } from '../support/builders/builder.js'
import { type Demo, isEvent, onStick, serialText, waitFor } from '../support/demo.js'
import type { CrashPoint } from './crash.js'
import { type Findings, openExaminer, type Witness } from './examine.js'
import { Replay } from './replay.js'
import { type LogEntry, readWriteLog } from './writelog.js'

export const PROFILE = 'fixtures/sticks/plug.yaml'

/** What fixtures/sticks/plug/write-records writes. */
const WITNESS: Witness = {
  guest: 'writer',
  file: '/var/lib/writer/records',
  record: (number) => `${`record ${number} ${`${number},`.repeat(64)}`.slice(0, 63)}\n`,
}

/** Where the guest of {@link PROFILE} sends to. */
export const COLLECTOR = '10.0.2.100:7777'

/** Of the recording, and of what is made from it. */
export const FOLDER = 'out/test/power'
const LOG = join(FOLDER, 'writes.log')
const NOTE = join(FOLDER, 'recording.json')
export const STICK: Bytes = 8 * GiB

/** Records, and seconds, of a guest as it should be. */
const ORDINARY = { records: 300, seconds: 45 }
/** Of one that ignores flushes: the host writes back by itself after 30 s (vm.dirty_expire_centisecs, commit=30). */
const CONTROL = { records: 50, seconds: 100 }

/** A record that came to the collector when the log had `log` bytes: it was on the stick by then, or should have been. */
interface Confirmed {
  record: number
  log: Bytes
}

interface Note {
  /** Of the image. */
  diskGuid: string
  confirmed: Confirmed[]
  /** Length of the log when the guest's disk began to ignore flushes. */
  ordinary: Bytes
  /** Its first record after that. */
  control: number
}

export interface Recording extends Note {
  inspection: Inspection
  entries: LogEntry[]
}

/** The recording that is there, where that will do and it is of this image; else a new one. */
export async function openRecording(
  { image, place: run }: Demo,
  reuse = process.env['RECORDING'] === 'keep',
): Promise<Recording> {
  const inspection = await inspectImage(image)
  const { diskGuid } = inspection.layout
  await mkdir(FOLDER, { recursive: true })
  const kept = reuse ? await readNote() : undefined
  const note = kept?.diskGuid === diskGuid ? kept : { diskGuid, ...(await record({ image, place: run })) }
  await writeFile(NOTE, JSON.stringify(note))
  return { ...note, inspection, entries: await readEntries() }
}

async function readNote(): Promise<Note | undefined> {
  return JSON.parse(await readFile(NOTE, 'utf8').catch(() => 'null')) ?? undefined
}

async function readEntries(): Promise<LogEntry[]> {
  const file = await open(LOG, 'r')
  const entries: LogEntry[] = []
  try {
    const read = async (offset: number, length: number) => {
      const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, offset)
      return buffer.subarray(0, bytesRead)
    }
    for await (const entry of readWriteLog(read, (await file.stat()).size)) entries.push(entry)
  } finally {
    await file.close()
  }
  return entries
}

/** One boot, at whose end the plug is pulled. */
async function record({ image, place: run }: Demo): Promise<Omit<Note, 'diskGuid'>> {
  const confirmed: Confirmed[] = []
  const onCollected = (line: string) => confirmed.push({ record: Number(line), log: statSync(LOG).size })
  const options = { accelerator: 'tcg', cpus: 1, ssh: true, stickSize: STICK, writeLog: LOG } as const
  return withTrial(image, { ...options, collector: COLLECTOR, onCollected }, run, async (trial) => {
    const done = await waitFor(trial, 900, isEvent('done'))
    if (done?.guests.ready !== 1) throw new Error(`no guest: ${(await serialText(trial)).slice(-2000)}`)
    await awaitRecords(confirmed, 0, ORDINARY)
    const ordinary = statSync(LOG).size
    await onStick(trial, IGNORE_FLUSHES)
    const before = confirmed.length
    await awaitRecords(confirmed, before, CONTROL)
    await trial.kill()
    return { confirmed, ordinary, control: confirmed[before]?.record ?? 0 }
  })
}

/** As a user would do it who wants a faster guest. The guest is ended first, as if its own plug were pulled. */
const IGNORE_FLUSHES = `
  set -e
  virsh="virsh -q -c qemu:///system"
  $virsh destroy writer
  $virsh dumpxml --inactive writer | sed "s/cache='none'/cache='unsafe'/" > /tmp/unsafe.xml
  grep -q "cache='unsafe'" /tmp/unsafe.xml
  $virsh define /tmp/unsafe.xml
  $virsh start writer`

async function awaitRecords(confirmed: Confirmed[], before: number, wanted: typeof ORDINARY): Promise<void> {
  const patience = Date.now() + 600_000
  let began = 0
  while (confirmed.length - before < wanted.records || Date.now() - began < wanted.seconds * 1000) {
    if (confirmed.length > before) began ||= Date.now()
    if (Date.now() > patience) throw new Error(`${confirmed.length - before} records came in ten minutes`)
    await sleep(200)
  }
}

// ------------------------------------------------------------------------------------ Points

/** The entries that had been completed when the log had so many bytes. */
export function entriesAt({ entries }: Recording, log: Bytes): number {
  const next = entries.findIndex(({ end }) => end > log)
  return next < 0 ? entries.length : next
}

/** The last record of which the collector knew when power was lost. */
export function confirmedAt({ entries, confirmed }: Recording, { completed }: CrashPoint): number {
  const log = entries[completed - 1]?.end ?? 0
  return confirmed.findLast((one) => one.log <= log)?.record ?? 0
}

/** How many records the guest said it had when it started; -1 when it said nothing. */
export function recordsSaid(events: readonly ReportEvent[]): number {
  const told = events.findLast((event) => event.event === 'guest' && event.name === WITNESS.guest)
  return Number(/^(\d+) records$/.exec((told as GuestEvent | undefined)?.said ?? '')?.[1] ?? -1)
}

export interface Lost {
  /** Confirmed records that are not there. */
  lost: number
  confirmed: number
  findings: Findings
}

export interface Points {
  replay: Replay
  examine(point: CrashPoint): Promise<Lost>
  close(): Promise<void>
}

/** Sets up the replay of a recording in a folder of its own below out/test/power. */
export async function openPoints(recording: Recording, { image, place: run }: Demo): Promise<Points> {
  const folder = join(process.cwd(), FOLDER, `points-${process.pid}`)
  await mkdir(folder, { recursive: true })
  const disk = join(folder, 'stick.raw')
  await systemTools.run({ tool: 'cp', args: ['--sparse=always', image, disk] })
  const replay = await Replay.open(disk, STICK, LOG, recording.entries)
  const tools = await openCheckTools(run)
  const examiner = await openExaminer(recording.inspection, WITNESS, folder, tools)
  return {
    replay,
    async examine(point) {
      const findings = await replay.at(point, () => examiner.examine(replay))
      const confirmed = confirmedAt(recording, point)
      return { findings, confirmed, lost: Math.max(0, confirmed - findings.records) }
    },
    async close() {
      await replay.close()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

/** For a failure, enough to find the point again. */
export function pointName({ completed, durable, changes }: CrashPoint): string {
  const torn = changes.map(({ entry, bytes }) => `${entry.index}${bytes < entry.bytes ? `(${bytes} B)` : ''}`)
  const rest = torn.length > 0 ? `, and ${torn.slice(0, 20).join(' ')}` : ''
  return `after ${completed} entries: ${durable} of them for sure${rest}`
}
