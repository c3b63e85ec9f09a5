import t from 'tap'
import {
  formatSeconds,
  jsonProgress,
  LiveLines,
  liveProgress,
  plainProgress,
  runningLine,
} from '../../src/cli/progress.js'
import { MiB, type ProgressEvent } from '../../src/index.js'

const EVENTS: ProgressEvent[] = [
  { kind: 'start', stage: 'root', title: 'make the host root' },
  { kind: 'note', stage: 'root', text: 'Setting up\x1b[2J things' },
  { kind: 'bytes', stage: 'root', done: MiB, total: 4 * MiB },
  { kind: 'start', stage: 'esp', title: 'pack the boot partition' },
  { kind: 'end', stage: 'esp', seconds: 0.02, reused: true },
  { kind: 'end', stage: 'root', seconds: 61.2, reused: false },
]

t.test('plain lines: one when a stage starts, one when it ends', async (t) => {
  const lines: string[] = []
  EVENTS.forEach(plainProgress((line) => lines.push(line)))
  t.strictSame(lines, [
    'make the host root ...',
    'pack the boot partition ...',
    'pack the boot partition: in the store',
    'make the host root: done in 1 min 01 s',
  ])
})

t.test('JSON lines are the events', async (t) => {
  const lines: string[] = []
  EVENTS.forEach(jsonProgress((line) => lines.push(line)))
  t.strictSame(
    lines.map((line) => JSON.parse(line)),
    EVENTS,
  )
  t.ok(lines.every((line) => !line.includes('\n')))
})

t.test('live lines end as what is kept, with nothing left to draw over', async (t) => {
  const screen = new Screen()
  const show = liveProgress(new LiveLines((text) => screen.write(text)), () => 60)
  for (const event of EVENTS.slice(0, 4)) show(event)
  show(EVENTS[4] as ProgressEvent)
  t.equal(screen.lines[0], '✓ pack the boot partition: in the store')
  t.match(screen.lines[1], /^… make the host root {2}0\.0 s {2}1MiB of 4MiB, /, 'what still runs is below')
  show(EVENTS[5] as ProgressEvent)
  t.strictSame(screen.lines, [
    '✓ pack the boot partition: in the store',
    '✓ make the host root: done in 1 min 01 s',
  ])
})

t.test('a running stage in one line', async (t) => {
  const stage = { title: 'fetch 3 packages', started: 0 }
  t.equal(runningLine(stage, 12_000, 80), '… fetch 3 packages  12 s')
  t.equal(runningLine({ ...stage, note: 'Get:1' }, 12_000, 80), '… fetch 3 packages  12 s  Get:1')
  const bytes = { done: 30 * MiB, total: 120 * MiB }
  t.equal(
    runningLine({ ...stage, bytes }, 12_000, 80),
    '… fetch 3 packages  12 s  30MiB of 120MiB, 36 s left',
  )
  const early = { done: 1, total: 120 * MiB }
  t.equal(runningLine({ ...stage, bytes: early }, 12_000, 80), '… fetch 3 packages  12 s  1B of 120MiB')
  t.equal(runningLine({ ...stage, note: 'x'.repeat(99) }, 12_000, 40).length, 39, 'it never wraps')
})

t.test('seconds', async (t) => {
  t.strictSame([0.04, 9.94, 9.96, 59.4, 59.6, 3599.7].map(formatSeconds), [
    '0.0 s',
    '9.9 s',
    '10 s',
    '59 s',
    '1 min 00 s',
    '60 min 00 s',
  ])
})

/** As much of a terminal as live lines use: text, line ends, cursor up, and clearing to the end. */
class Screen {
  lines: string[] = []
  private row = 0

  write(text: string): void {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences are what a terminal reads
    for (const [, up, clear, line] of text.matchAll(/\x1b\[(\d+)A|(\x1b\[J)|([^\x1b\n]*)\n/g)) {
      if (up) this.row -= Number(up)
      else if (clear) this.lines.length = this.row
      else this.lines[this.row++] = line as string
    }
  }
}
