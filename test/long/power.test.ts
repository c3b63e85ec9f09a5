/**
 * Pull the plug: a stick's writes are logged while it boots for the first time and while a guest writes records; the disk
 * is rebuilt at many points, after each of which power could have been lost, and examined. No record of which somebody
 * outside was told may be missing, and nothing may be damaged beyond what every start mends. See test/power/crash.ts for what
 * a loss of power leaves.
 *
 * The control proves the check: a guest whose disk ignores flushes does lose records. `SEED=… RECORDING=keep` looks at the
 * same points of the same recording again.
 */
import t from 'tap'
import { type CrashPoint, choosePoints } from '../power/crash.js'
import type { Stage } from '../power/examine.js'
import { entriesAt, type Lost, openPoints, openRecording, PROFILE, pointName } from '../power/power.js'
import { openStick } from '../support/demo.js'
import { seeded, seedOfRun } from '../support/tools.js'

/** Before the first record, and after it. */
const POINTS = 110
const CONTROL_POINTS = 20

const demo = await openStick(t, PROFILE)

if (demo) {
  // Meant for one hour: ten minutes for the recording, some ten seconds for each point. A slow machine may finish all the same.
  t.setTimeout(7_200_000)
  const random = seeded(seedOfRun())
  const recording = await openRecording(demo)
  const { entries, confirmed } = recording
  const points = await openPoints(recording, demo)
  t.teardown(() => points.close())
  const first = entriesAt(recording, confirmed[0]?.log ?? 0)
  const ordinary = entriesAt(recording, recording.ordinary)
  console.error(`# ${entries.length} log entries, ${confirmed.length} records confirmed`)

  const look = async (chosen: readonly CrashPoint[]) => {
    const seen: (Lost & { point: CrashPoint })[] = []
    const began = Date.now()
    for (const point of chosen) {
      seen.push({ point, ...(await points.examine(point)) })
      const seconds = Math.round((Date.now() - began) / 1000)
      if (seen.length % 20 === 0) console.error(`# ${seen.length} of ${chosen.length} points, ${seconds} s`)
    }
    return { seen, lost: seen.reduce((sum, { lost }) => sum + lost, 0) }
  }

  await t.test('no confirmed record is lost, and nothing is damaged', async (t) => {
    const setUp = choosePoints(entries, 0, first, POINTS, random)
    const running = choosePoints(entries, first, ordinary, POINTS, random)
    const { seen, lost } = await look([...setUp, ...running])
    for (const { point, findings, ...counts } of seen) {
      if (counts.lost > 0 || findings.problems.length > 0)
        t.fail(pointName(point), { ...counts, ...findings })
    }
    const stages = seen.map(({ findings }) => findings.stage)
    for (const stage of ['table', 'format', 'overlay', 'guest'] satisfies Stage[]) {
      const count = stages.filter((other) => other === stage).length
      t.ok(count > 0, `${count} points in stage ${stage}`)
    }
    const later = seen.filter(({ confirmed }) => confirmed > 0)
    t.ok(later.length >= 100, `${later.length} points with confirmed records`)
    t.ok(seen.length >= 200, `${seen.length} points in all`)
    t.equal(lost, 0)
    console.error(`# ${seen.length} crash points, ${lost} lost`)
  })

  await t.test('the control: with flushes ignored, records are lost, and the check says so', async (t) => {
    const told = confirmed.find(({ record }) => record === recording.control)
    const chosen = choosePoints(
      entries,
      entriesAt(recording, told?.log ?? 0),
      entries.length,
      CONTROL_POINTS,
      random,
    )
    const { seen, lost } = await look(chosen)
    t.ok(seen.length > 0, `${seen.length} points`)
    t.ok(lost > 0, `${lost} records lost`)
    console.error(`# control: ${seen.length} crash points, ${lost} lost`)
  })
}
