/**
 * Images for boot tests, the demo's above all, each built once, and what the tests share.
 */
import { mkdir, readFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { basename, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { silent } from '../../src/base/progress.js'
import { systemTools } from '../../src/base/tool.js'
import { consoleLines, type ReportEvent } from '../../src/guest/report.js'
import type { Trial } from '../../src/lab/trial.js'
import { buildImage } from '../../src/pipeline/build.js'
import { Store, storeFolder } from '../../src/store/store.js'
import type { Workplace } from '../../src/store/workplace.js'
import { needTools } from './tools.js'

/** What of a tap test this module needs. */
interface Test {
  comment(message: string): unknown
  teardown(action: () => unknown): unknown
  setTimeout(milliseconds: number): unknown
  pass(message: string, extra: { skip: string }): unknown
  fail(message: string): unknown
}

export interface Demo {
  image: string
  place: Workplace
}

/** Milliseconds that a file of boot tests may take, its wait for the others included. */
const FILE_TIMEOUT = 30 * 60 * 1000

/** Seconds in which a stick shuts down, also with a guest that does not hear (STOP_WITHIN), and on a slow machine. */
export const SHUTDOWN = 600

/** {@link openStick} for the demo. */
export function openDemo(t: Test): Promise<Demo | undefined> {
  return openStick(t, 'profiles/demo.yaml')
}

/**
 * Builds a profile's image where that is not done yet, and waits until no other file of boot tests runs: under emulation,
 * two PCs at the same time only make both miss their deadlines. Undefined when a tool is missing.
 */
export async function openStick(t: Test, profile: string): Promise<Demo | undefined> {
  t.setTimeout(FILE_TIMEOUT)
  if (!needTools(t, 'bwrap', 'mmdebstrap', 'ssh', 'ssh-keygen', 'ssh-keyscan')) return undefined
  turn ??= takeTurn()
  await turn
  const run = { store: await Store.open(storeFolder()), progress: silent }
  const out = join(process.cwd(), 'out/test')
  await mkdir(out, { recursive: true })
  const lock = join(out, `${basename(profile, '.yaml')}.lock.json`)
  const { image } = await buildImage({ profile, lock, out }, run)
  return { image, place: run }
}

/** One process at a time can listen on this name; it is free again when that process ends, however it does. */
const TURN = '\0keyvisor-boot-test'

/** A file that opens several images has one turn. */
let turn: Promise<void> | undefined

/** Not a teardown of `t`: with one, tap ends a file by itself as soon as nothing of it is under way, a build included. */
async function takeTurn(): Promise<void> {
  for (;;) {
    const server = createServer()
    const mine = await new Promise<boolean>((resolve) => {
      server.once('error', () => resolve(false))
      server.listen(TURN, () => resolve(true))
    })
    if (mine) return void server.unref()
    await sleep(500)
  }
}

/** Waits for an event; undefined when the seconds are over, or the PC is off, before it comes. Throws if QEMU broke. */
export async function waitFor<E extends ReportEvent>(
  trial: Trial,
  seconds: number,
  wanted: (event: ReportEvent) => event is E,
): Promise<E | undefined> {
  const over = new AbortController()
  const timer = setTimeout(() => over.abort(), seconds * 1000)
  const look = async () => {
    while (!over.signal.aborted && !trial.events.some(wanted)) await sleep(200)
  }
  await Promise.race([look(), trial.ended]).finally(() => {
    clearTimeout(timer)
    over.abort()
  })
  return trial.events.find(wanted)
}

/** Narrows an event to one kind. */
export function isEvent<K extends ReportEvent['event']>(kind: K) {
  return (event: ReportEvent): event is Extract<ReportEvent, { event: K }> => event.event === kind
}

/** Waits for words on the serial console; false when the seconds are over before they come. */
export async function waitForWords(trial: Trial, seconds: number, words: RegExp): Promise<boolean> {
  const deadline = Date.now() + seconds * 1000
  while (Date.now() < deadline) {
    if (words.test(await serialText(trial))) return true
    await sleep(500)
  }
  return false
}

/** What the stick wrote to its serial console so far, without control sequences. */
export async function serialText({ pc }: Trial): Promise<string> {
  const text = await readFile(pc.serialLog, 'utf8').catch(() => '')
  return consoleLines(`${text}\n`).join('\n')
}

/** What a command prints on the stick. */
export async function onStick({ ssh }: Trial, command: string): Promise<string> {
  const [tool, ...args] = ssh ?? ['false']
  const { stdout } = await systemTools.run({ tool: tool as string, args: [...args, command], timeout: 240 })
  return stdout.trim()
}

/** A copy of an image, holes kept, for a test that damages it. */
export async function copyImage(image: string, target: string): Promise<void> {
  await systemTools.run({ tool: 'cp', args: ['--sparse=always', '--reflink=auto', image, target] })
}
