/**
 * The timeline of a boot: what was heard when, by the clock of this machine and by the stick's own.
 */
import { LOADING_PREFIX, type ReportEvent } from '../guest/report.js'

export interface Moment {
  /** `grub`, `kernel`, `host`, `guest NAME`, `done` or `shutdown`. */
  name: string
  /** Seconds from power-on, by the clock of this machine. */
  here: number
  /** Seconds from the kernel's start, by the stick's clock; null where the stick does not say. */
  stick: number | null
}

export interface Timeline {
  /** The PC is switched on now. */
  start(): void
  hear(event: ReportEvent): void
  /** A line of the serial console. */
  hearLine(line: string): void
  /** The PC is off. */
  end(): void
  /** In the order in which they came. */
  moments(): Moment[]
}

/** @param now a monotonic clock, milliseconds */
export function openTimeline(now: () => number = () => performance.now()): Timeline {
  const moments: Moment[] = []
  let began = now()
  const mark = (name: string, stick: number | null = null) => {
    if (!moments.some((moment) => moment.name === name))
      moments.push({ name, here: since(began, now()), stick })
  }
  return {
    start() {
      began = now()
    },
    hear(event) {
      if (event.event === 'host' || event.event === 'done') mark(event.event, rounded(event.seconds))
      if (event.event === 'guest') mark(`guest ${event.name}`)
    },
    hearLine(line) {
      if (line.includes(LOADING_PREFIX)) mark('grub')
    },
    end: () => mark('shutdown'),
    moments: () => withKernel(moments).sort((a, b) => a.here - b.here),
  }
}

/** The kernel says nothing when it starts; the host says how long ago that was. */
function withKernel(moments: readonly Moment[]): Moment[] {
  const host = moments.find(({ name }) => name === 'host')
  if (!host || host.stick === null) return [...moments]
  return [...moments, { name: 'kernel', here: rounded(Math.max(0, host.here - host.stick)), stick: 0 }]
}

function since(began: number, now: number): number {
  return rounded((now - began) / 1000)
}

function rounded(seconds: number): number {
  return Math.round(seconds * 10) / 10
}
