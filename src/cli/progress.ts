/**
 * Progress on the screen: events of the library as live lines, plain lines, or JSON lines.
 *
 * A stage's title may hold a guest's name, and a note is a line of some tool: nothing of them steers the terminal.
 */
import { type Bytes, formatBytes, type Progress, type ProgressEvent, printable } from '../index.js'

/** Each event as one line of JSON. */
export function jsonProgress(write: (line: string) => void): Progress {
  return (event) => write(JSON.stringify(event))
}

/** For logs: a line when a stage starts, one when it ends. */
export function plainProgress(write: (line: string) => void): Progress {
  const titles = new Map<string, string>()
  return (event) => {
    if (event.kind === 'start') {
      titles.set(event.stage, printable(event.title))
      write(`${printable(event.title)} ...`)
    } else if (event.kind === 'end') {
      write(`${titles.get(event.stage) ?? event.stage}: ${endWords(event)}`)
    }
  }
}

/** `done in 12 s`, or `in the store` where nothing was to do. */
function endWords({ seconds, reused }: { seconds: number; reused: boolean }): string {
  return reused ? 'in the store' : `done in ${formatSeconds(seconds)}`
}

/** `0.4 s`, `12 s`, `3 min 05 s`. */
export function formatSeconds(seconds: number): string {
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`
  const whole = Math.round(seconds)
  if (whole < 60) return `${whole} s`
  return `${Math.floor(whole / 60)} min ${String(whole % 60).padStart(2, '0')} s`
}

// ------------------------------------------------------------------------------------------ live lines

/** Lines at the foot of a terminal that are drawn over. */
export class LiveLines {
  private readonly write: (text: string) => void
  private drawn = 0

  constructor(write: (text: string) => void) {
    this.write = write
  }

  /** Replaces what was drawn. Lines must not be wider than the terminal, or they would wrap. */
  draw(lines: string[]): void {
    this.clear()
    if (lines.length > 0) this.write(`${lines.join('\n')}\n`)
    this.drawn = lines.length
  }

  clear(): void {
    if (this.drawn > 0) this.write(`\x1b[${this.drawn}A\x1b[J`)
    this.drawn = 0
  }

  /** Writes a line above the live ones, where it stays. */
  keep(line: string): void {
    this.clear()
    this.write(`${line}\n`)
  }
}

/** A stage under way. */
export interface Running {
  title: string
  /** Milliseconds since the epoch. */
  started: number
  bytes?: { done: Bytes; total: Bytes }
  note?: string
}

/** Milliseconds between two drawings. */
const REDRAW = 120

/** One live line for each stage under way, one that stays for each that is done. */
export function liveProgress(live: LiveLines, width: () => number): Progress {
  const running = new Map<string, Running>()
  const draw = () => live.draw([...running.values()].map((stage) => runningLine(stage, Date.now(), width())))
  let timer: NodeJS.Timeout | undefined
  return (event) => {
    if (event.kind === 'end') {
      const title = running.get(event.stage)?.title ?? event.stage
      running.delete(event.stage)
      live.keep(cut(`✓ ${title}: ${endWords(event)}`, width()))
      draw()
    } else {
      note(running, event)
    }
    // An interval that nobody waits for: a verb that fails ends without telling.
    if (running.size > 0) timer ??= setInterval(draw, REDRAW).unref()
    else timer = void clearInterval(timer)
  }
}

function note(running: Map<string, Running>, event: Exclude<ProgressEvent, { kind: 'end' }>): void {
  if (event.kind === 'start') {
    running.set(event.stage, { title: printable(event.title), started: Date.now() })
    return
  }
  const stage = running.get(event.stage)
  if (!stage) return
  if (event.kind === 'bytes') stage.bytes = { done: event.done, total: event.total }
  else if (event.text.trim() !== '') stage.note = printable(event.text.trim())
}

/** `… install the host  12 s  Setting up libvirt-daemon`, or with bytes how many and the time left. */
export function runningLine({ title, started, bytes, note }: Running, now: number, width: number): string {
  const seconds = (now - started) / 1000
  const facts = bytes ? byteWords(bytes, seconds) : (note ?? '')
  return cut(`… ${title}  ${formatSeconds(seconds)}  ${facts}`, width).trimEnd()
}

/** `120MiB of 1.2GiB, 8 s left`. The time is told when a twentieth is done: before that it would jump about. */
function byteWords({ done, total }: { done: Bytes; total: Bytes }, seconds: number): string {
  const amount = `${formatBytes(done)} of ${formatBytes(total)}`
  if (done < total / 20 || done <= 0) return amount
  return `${amount}, ${formatSeconds((seconds * (total - done)) / done)} left`
}

function cut(text: string, width: number): string {
  return text.length < width ? text : `${text.slice(0, Math.max(0, width - 2))}…`
}
