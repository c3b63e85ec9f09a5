/**
 * Pull the plug, and start again: a sample of the points of `power-loss.test.ts` is booted. Passed is a start after which
 * the host lets somebody in, and the guest itself says that it has every record of which somebody outside was told.
 *
 * `BOOTS=…` sets how many; `SEED=…` boots the same points again.
 */
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { keepDisk } from '../../src/lab/overlay.js'
import { proveImage } from '../../src/lab/prove.js'
import { openLab } from '../../src/tools/lab-tools.js'
import { type CrashPoint, choosePoints } from '../power/crash.js'
import {
  confirmedAt,
  entriesAt,
  FOLDER,
  openPoints,
  openRecording,
  PROFILE,
  pointName,
  recordsSaid,
  STICK,
} from '../power/power.js'
import { onStick, openStick } from '../support/demo.js'
import { seeded, seedOfRun } from '../support/tools.js'

/** Each takes some four minutes under emulation. */
const BOOTS = Number(process.env['BOOTS'] ?? 12)

/** Of these, so many whose partition table is torn: what the initrd does then, no other start shows. */
const TORN_TABLES = Math.min(2, Math.floor(BOOTS / 4))

const stick = await openStick(t, PROFILE)

if (stick) {
  t.setTimeout(7_200_000)
  const random = seeded(seedOfRun())
  const tools = await openLab(stick.place)
  const recording = await openRecording(stick, true)
  const { entries, inspection } = recording
  const points = await openPoints(recording, stick)
  const folder = join(process.cwd(), FOLDER, `boots-${process.pid}`)
  await mkdir(folder, { recursive: true })
  // From here on without a pause: tap ends a file that has a teardown as soon as nothing of it is under way.
  t.teardown(async () => {
    await points.close()
    await rm(folder, { recursive: true, force: true })
  })
  const first = entriesAt(recording, recording.confirmed[0]?.log ?? 0)
  const ordinary = entriesAt(recording, recording.ordinary)

  const early = choosePoints(entries, 0, first, 40, random)
  const torn = some(early.filter(cutsTable), TORN_TABLES)
  const rest = early.filter((point) => !cutsTable(point))
  const sample = [
    ...torn,
    ...some(rest, Math.ceil(BOOTS / 2) - torn.length),
    ...choosePoints(entries, first, ordinary, Math.floor(BOOTS / 2), random),
  ].sort((a, b) => a.durable - b.durable)
  t.equal(torn.length, TORN_TABLES, 'points with a torn table')
  t.ok(sample.length >= BOOTS, `${sample.length} points`)

  let booted = 0
  let lost = 0
  for (const point of sample) {
    await t.test(pointName(point), async (t) => {
      const keep = join(folder, 'stick.qcow2')
      await rm(keep, { force: true })
      const confirmed = confirmedAt(recording, point)
      await points.replay.at(point, () => keepDisk(inspection, points.replay.path, STICK, keep, tools))
      let admin = ''
      const pc = { accelerator: 'tcg', cpus: 1, ssh: true, keep } as const
      const proof = await proveImage(
        stick.image,
        {
          ...pc,
          visit: async (trial) => {
            admin = await onStick(trial, 'id -un')
          },
        },
        stick.place,
      )
      if (!t.ok(proof.passed, 'the proof', { checks: proof.checks, serial: proof.serialTail })) return
      t.equal(admin, 'admin', 'the host lets its admin in')
      const records = recordsSaid(proof.events)
      t.ok(records >= confirmed, `${records} records, ${confirmed} of them confirmed`)
      booted++
      lost += Math.max(0, confirmed - records)
      console.error(`# booted after ${proof.seconds} s: ${records} records, ${confirmed} confirmed`)
    })
  }
  t.equal(booted, sample.length)
  console.error(`# ${sample.length} crash points, ${lost} lost; ${booted} booted`)
}

/** Whether the primary partition table is there in part. */
function cutsTable({ changes }: CrashPoint): boolean {
  return changes.some(({ entry, bytes }) => entry.at < 17_408 && bytes > 512 && bytes < entry.bytes)
}

/** At most `count`, evenly. */
function some(points: readonly CrashPoint[], count: number): CrashPoint[] {
  return points.filter(
    (_, index) =>
      Math.floor((index * count) / points.length) !== Math.floor(((index - 1) * count) / points.length),
  )
}
