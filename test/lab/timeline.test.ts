import t from 'tap'
import type { ReportEvent } from '../../src/guest/report.js'
import { openTimeline } from '../../src/lab/timeline.js'

t.test('moments by both clocks, and the kernel between them', async (t) => {
  let now = 1_000_000
  const timeline = openTimeline(() => now)
  const at = (seconds: number) => {
    now = 2_000_000 + seconds * 1000
  }
  at(0)
  timeline.start()
  at(2.04)
  timeline.hearLine('\x1b[Hkeyvisor: loading demo\r')
  timeline.hearLine('[    7.4] something else')
  at(50)
  timeline.hear({ event: 'host', seconds: 41.26 } as ReportEvent)
  at(72)
  timeline.hear({ event: 'guest', name: 'web', seconds: 20 } as ReportEvent)
  at(73)
  timeline.hear({ event: 'done', seconds: 64.2 } as ReportEvent)
  at(80)
  timeline.end()
  t.strictSame(timeline.moments(), [
    { name: 'grub', here: 2, stick: null },
    { name: 'kernel', here: 8.7, stick: 0 },
    { name: 'host', here: 50, stick: 41.3 },
    { name: 'guest web', here: 72, stick: null },
    { name: 'done', here: 73, stick: 64.2 },
    { name: 'shutdown', here: 80, stick: null },
  ])
})

t.test('a stick that is silent has no moments, and one that starts twice has its first', async (t) => {
  let now = 0
  const timeline = openTimeline(() => now)
  timeline.start()
  t.strictSame(timeline.moments(), [])
  now = 9000
  timeline.hearLine('keyvisor: loading demo')
  now = 99000
  timeline.hearLine('keyvisor: loading demo')
  t.strictSame(timeline.moments(), [{ name: 'grub', here: 9, stick: null }])
})
