/**
 * A session: one run of one virtual PC, from power-on to its end.
 *
 * Left out: what the PC is (`machine.ts`), what it is run for (`trial.ts`), and whether it did well (`prove.ts`).
 */

import { open } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import { ARCHITECTURES, USUAL_ARCHITECTURE } from '../arch/architecture.js'
import { KeyvisorError } from '../base/errors.js'
import type { Bind, ToolRunner } from '../base/tool.js'
import { ToolError } from '../base/tool-errors.js'
import { decodeEvent, type ReportEvent } from '../guest/report.js'
import { follow } from './follow.js'
import { openQmp, type Qmp, reach } from './qmp.js'
import { COLLECTOR_SOCKET, qemuArguments, type VirtualPc } from './virtual-pc.js'

/** `off`: the stick switched its PC off. */
export type Ending = 'off' | 'killed'

export interface Session {
  /** Rejects when QEMU failed. By then every event has been told. */
  ended: Promise<Ending>
  /** What a person would type at QEMU's monitor, for what QMP has no command. Answers with what it prints. */
  monitor(command: string): Promise<string>
  /** Writes what is on the screen, as PNG, into the session's folder. */
  screenshot(path: string): Promise<void>
  /** Presses the power button, and pulls the plug after so many seconds. */
  shutDown(seconds: number): Promise<Ending>
  /** Pulls the plug. Quiet when it has ended already. */
  kill(): Promise<void>
}

export interface Watch {
  /** Each event once, whether it came by the report port, the serial console, or both. */
  onEvent: (event: ReportEvent) => void
  onSerial: (line: string) => void
  /** Lines that guests send to the PC's collector. */
  onCollected?: (line: string) => void
}

/** Seconds after which the power button is pressed again: a stick in the middle of its start ignores it. */
const PRESS_EVERY = 10

/** Seconds in which QEMU answers, which it does before the PC's first instruction. Not more than `qmp.ts` waits. */
const STARTS_WITHIN = 60

/**
 * Switches the PC on; resolves when QEMU answers. `folder` is where the PC's logs, socket and variables are, and is
 * its own. Throws KeyvisorError `tool-failed` with QEMU's words when it does not start, `qemu-silent` when it starts and
 * does not answer, and what the file system refuses.
 *
 * @param patience seconds for its first answer
 */
export async function startSession(
  pc: VirtualPc,
  folder: string,
  binds: readonly Bind[],
  watch: Watch,
  tools: ToolRunner,
  patience = STARTS_WITHIN,
): Promise<Session> {
  const plug = new AbortController()
  const gone = new AbortController()
  const stopFollowing = followLogs(pc, watch)
  const ended = runQemu(pc, folder, binds, tools, plug.signal).finally(() => {
    gone.abort(silent('QEMU ended before it answered'))
    return stopFollowing()
  })
  // Whoever waits for it later still sees the rejection.
  ended.catch(() => {})
  const late = setTimeout(
    () => gone.abort(silent(`QEMU was started, and did not answer within ${patience} s`)),
    patience * 1000,
  )
  const qmp = await connect(pc, folder, watch, gone.signal)
    .catch(async (error) => {
      const why = gone.signal.aborted ? gone.signal.reason : error
      plug.abort()
      // What QEMU itself said at its end tells more than that it could not be reached.
      await ended
      throw why
    })
    .finally(() => clearTimeout(late))
  return {
    ended,
    async monitor(command) {
      return String(await qmp.execute('human-monitor-command', { 'command-line': command }))
    },
    async screenshot(path) {
      await qmp.execute('screendump', { filename: path, format: 'png' })
    },
    shutDown: (seconds) => shutDown(qmp, ended, seconds, plug),
    async kill() {
      plug.abort()
      await ended.catch(() => {})
    },
  }
}

function silent(message: string): KeyvisorError {
  return new KeyvisorError('qemu-silent', message, { hint: 'try again when this machine has less to do' })
}

/** Reaches QEMU, and what guests send through it. */
async function connect(pc: VirtualPc, folder: string, watch: Watch, gone: AbortSignal): Promise<Qmp> {
  const qmp = await within(folder, pc.qmp, (path) => openQmp(path, gone))
  if (pc.collector !== null) await within(folder, COLLECTOR_SOCKET, (path) => collect(path, watch, gone))
  return qmp
}

function runQemu(
  pc: VirtualPc,
  folder: string,
  binds: readonly Bind[],
  tools: ToolRunner,
  signal: AbortSignal,
): Promise<Ending> {
  const kvm = pc.accelerator === 'kvm' ? [{ path: '/dev/kvm', device: true }] : []
  const call = {
    tool: ARCHITECTURES[USUAL_ARCHITECTURE].qemu.program,
    args: qemuArguments(pc),
    binds: [{ path: folder, write: true }, ...binds, ...kvm],
    cwd: folder,
    network: true,
    signal,
  }
  return tools.run(call).then(
    () => 'off',
    (error: KeyvisorError) => {
      if (signal.aborted) return 'killed'
      throw breakdown(error) ?? error
    },
  )
}

/**
 * QEMU ended itself by an assertion of its own (abort(3): 128 + SIGABRT). Seen with QEMU 10.0 under TCG (11.1 aborts, too): a guest of the
 * stick that writes CR8 while an interrupt is pending, as OVMF's interrupt handlers do, ends in
 * `tcg_handle_interrupt: assertion failed: (bql_locked())`.
 */
function breakdown(error: KeyvisorError): KeyvisorError | undefined {
  if (!(error instanceof ToolError) || error.signal !== 'SIGABRT') return undefined
  return new KeyvisorError(
    'qemu-broke',
    `QEMU broke down, which says nothing about the stick\n${error.message}`,
    {
      hint: 'try again, or with --no-virtualization',
      cause: error,
    },
  )
}

function followLogs(pc: VirtualPc, { onEvent, onSerial }: Watch): () => Promise<void> {
  const told = new Set<string>()
  const read = (line: string) => {
    const event = decodeEvent(line)
    const text = JSON.stringify(event)
    if (!event || told.has(text)) return
    told.add(text)
    onEvent(event)
  }
  const stops = [
    follow(pc.reportLog, read),
    follow(pc.serialLog, (line) => {
      read(line)
      onSerial(line)
    }),
  ]
  return async () => {
    await Promise.all(stops.map((stop) => stop()))
  }
}

/** A socket is reached through its folder's descriptor: the folder's own path may be too long for one (unix(7)). */
async function within<T>(folder: string, socket: string, connect: (path: string) => Promise<T>): Promise<T> {
  const opened = await open(folder, 'r')
  try {
    return await connect(`/proc/self/fd/${opened.fd}/${socket}`)
  } finally {
    await opened.close()
  }
}

async function collect(path: string, { onCollected }: Watch, gone: AbortSignal): Promise<void> {
  createInterface({ input: await reach(path, gone) }).on('line', (line) => onCollected?.(line))
}

async function shutDown(
  qmp: Qmp,
  ended: Promise<Ending>,
  seconds: number,
  plug: AbortController,
): Promise<Ending> {
  // QEMU may end before it answers: that is what was asked for. One that never answers has its plug pulled.
  const press = () => void qmp.execute('system_powerdown').catch(() => {})
  press()
  const again = setInterval(press, PRESS_EVERY * 1000)
  const deadline = setTimeout(() => plug.abort(), seconds * 1000)
  try {
    return await ended
  } finally {
    clearInterval(again)
    clearTimeout(deadline)
  }
}
