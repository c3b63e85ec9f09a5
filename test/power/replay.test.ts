/**
 * A disk is rebuilt from a log that QEMU wrote of writes to that disk.
 */
import { readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { MiB } from '../../src/base/units.js'
import { labTools } from '../support/lab.js'
import { seeded, seedOfRun } from '../support/tools.js'
import { cleanPoint, tornPoint } from './crash.js'
import { Replay } from './replay.js'
import { type LogEntry, readWriteLog } from './writelog.js'

const SIZE = 8 * MiB

const tools = await labTools(t)

if (tools) {
  const folder = t.testdir()
  const [disk, log] = [join(folder, 'disk.raw'), join(folder, 'writes.log')]
  const random = seeded(seedOfRun())

  /** What qemu-io is told: places and sizes at random, also across the chunks of a replay. */
  const commands = Array.from({ length: 120 }, (_, index) => {
    if (index % 7 === 6) return 'flush'
    const place = `${random(SIZE / 512 - 3000) * 512} ${(1 + random(3000)) * 512}`
    if (index % 11 === 3) return `discard ${place}`
    if (index % 11 === 5) return `write -z ${place}`
    return `write -P ${1 + random(254)} ${place}`
  })

  const image = Buffer.alloc(MiB + 512, 'image')
  await writeFile(disk, Buffer.concat([image, Buffer.alloc(SIZE - image.length)]))
  await writeFile(log, '')
  const file = `file.driver=raw,file.file.driver=file,file.file.filename=${disk}`
  const chain = `driver=blklogwrites,discard=unmap,${file},log.driver=file,log.filename=${log}`
  await tools.run({
    tool: 'qemu-io',
    args: ['--image-opts', chain, ...[...commands, 'flush'].flatMap((command) => ['-c', command])],
    binds: [{ path: folder, write: true }],
  })
  const text = await readFile(log)
  const entries: LogEntry[] = []
  const read = async (offset: number, length: number) => text.subarray(offset, offset + length)
  for await (const entry of readWriteLog(read, text.length)) entries.push(entry)

  await t.test('the whole log leads to the disk, past torn points that leave no trace', async (t) => {
    const rebuilt = join(folder, 'rebuilt.raw')
    await writeFile(rebuilt, image)
    const replay = await Replay.open(rebuilt, SIZE, log, entries)
    t.teardown(() => replay.close())
    const model = Buffer.alloc(SIZE)
    model.set(image)
    let done = 0
    let torn = 0
    const change = (onto: Buffer, { at, from, discard }: LogEntry, bytes: number) => {
      if (discard) onto.fill(0, at, at + bytes)
      else onto.set(text.subarray(from, from + bytes), at)
    }
    for (let completed = 1; completed <= entries.length; completed += 2) {
      const point = tornPoint(entries, completed, random)
      for (; done < point.durable; done++) change(model, entries[done] as LogEntry, entries[done]?.bytes ?? 0)
      const expected = Buffer.from(model)
      for (const { entry, bytes } of point.changes) change(expected, entry, bytes)
      if (point.changes.length > 0) torn++
      const same = await replay.at(point, async () => expected.equals(await readFile(rebuilt)))
      if (!same) t.fail(`after ${completed} entries`, { point })
      if (!model.equals(await readFile(rebuilt))) t.fail(`what was torn stays, after ${completed} entries`)
    }
    t.ok(torn > 10, `${torn} torn points`)
    await replay.at(cleanPoint(entries, entries.length), async () => {
      t.ok((await readFile(rebuilt)).equals(await readFile(disk)), 'as QEMU left the disk')
      const part = join(folder, 'part.raw')
      await replay.extract(4096, 10_000, part)
      const whole = await readFile(disk)
      t.ok((await readFile(part)).equals(whole.subarray(4096 * 512, 10_001 * 512)), 'a part of it')
    })
    await t.rejects(
      replay.at(cleanPoint(entries, 1), async () => {}),
      /BUG: replay cannot go back/,
    )
  })

  await t.test('what was never written stays a hole', async (t) => {
    const rebuilt = join(folder, 'sparse.raw')
    await writeFile(rebuilt, image)
    const replay = await Replay.open(rebuilt, 1024 * MiB, log, [])
    t.teardown(() => replay.close())
    const part = join(folder, 'holes.raw')
    await replay.extract(0, 1024 * 2048 - 1, part)
    const { size, blocks } = await stat(part)
    t.equal(size, 1024 * MiB)
    t.ok(blocks * 512 <= 4 * MiB, `${blocks} blocks`)
  })
}
