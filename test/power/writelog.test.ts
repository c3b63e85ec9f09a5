/**
 * The oracle is QEMU, which writes the log and the disk.
 */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import { MiB } from '../../src/base/units.js'
import { labTools } from '../support/lab.js'
import { below, holds } from '../support/property.js'
import { encodeLogEntry, encodeLogSuperblock, type LogEntry, readWriteLog } from './writelog.js'

const write = { flush: false, fua: false, discard: false, mark: null, at: 0, bytes: 0 }

async function decoded(log: Buffer): Promise<LogEntry[]> {
  const entries: LogEntry[] = []
  const read = async (offset: number, length: number) => log.subarray(offset, offset + length)
  for await (const entry of readWriteLog(read, log.length)) entries.push(entry)
  return entries
}

/** A log of three entries: a write of two sectors, a discard, and a flush. */
function madeUp(entries = 3): Buffer {
  return Buffer.concat([
    encodeLogSuperblock({ entries, sectorBytes: 512 }),
    encodeLogEntry({ ...write, at: 4096, bytes: 1024 }),
    Buffer.alloc(1024, 'x'),
    encodeLogEntry({ ...write, discard: true, at: MiB, bytes: MiB }),
    encodeLogEntry({ ...write, flush: true }),
  ])
}

t.test('a made-up log', async (t) => {
  const [first, second, third] = await decoded(madeUp())
  t.match(first, { index: 0, at: 4096, bytes: 1024, from: 1024, end: 2048, flush: false, discard: false })
  t.match(second, { index: 1, at: MiB, bytes: MiB, end: 2560, discard: true })
  t.match(third, { index: 2, bytes: 0, end: 3072, flush: true, fua: false })
})

t.test('a mark and FUA, in sectors of 4 KiB', async (t) => {
  const log = Buffer.concat([
    encodeLogSuperblock({ entries: 2, sectorBytes: 4096 }),
    encodeLogEntry({ ...write, mark: 'here' }, 4096),
    encodeLogEntry({ ...write, fua: true, at: 8192, bytes: 4096 }, 4096),
    Buffer.alloc(4096),
  ])
  t.match(await decoded(log), [
    { mark: 'here', bytes: 0, end: 8192 },
    { mark: null, fua: true, at: 8192, bytes: 4096, from: 12_288 },
  ])
})

t.test('entries that the superblock does not count are left out', async (t) => {
  t.equal((await decoded(madeUp(2))).length, 2)
})

t.test('what is no log, or none that can be read', async (t) => {
  const changed = (at: number, byte: number) => {
    const log = madeUp()
    log[at] = byte
    return log
  }
  await t.rejects(decoded(Buffer.alloc(0)), { code: 'not-a-write-log' })
  await t.rejects(decoded(changed(0, 0)), { code: 'not-a-write-log' })
  await t.rejects(decoded(changed(8, 2)), { code: 'not-a-write-log', message: /version is 2/ })
  await t.rejects(decoded(changed(24, 1)), { code: 'not-a-write-log', message: /513 bytes/ })
  await t.rejects(decoded(madeUp(2 ** 52)), { code: 'write-log-damaged', message: /entry 3 .* ends before/ })
  await t.rejects(decoded(changed(512 + 16, 0x20)), { code: 'write-log-damaged', message: /flags are 0x20/ })
  // The highest byte of nr_sectors.
  await t.rejects(decoded(changed(512 + 15, 0x40)), { code: 'write-log-damaged', message: /it writes/ })
  await t.rejects(decoded(changed(512 + 25, 0xff)), { code: 'write-log-damaged', message: /text has/ })
})

t.test('one that is cut off anywhere is refused at the entry that is not whole', async (t) => {
  const log = madeUp()
  const last = (await decoded(log)).at(-1)
  t.equal(last?.end, log.length)
  for (let length = 0; length < log.length; length += 32) {
    const code = length < 28 ? 'not-a-write-log' : 'write-log-damaged'
    await t.rejects(decoded(log.subarray(0, length)), { code }, `${length} bytes`)
  }
})

t.test('flipped bits end in an error of ours, or in entries that lie within the log', async (t) => {
  let refused = 0
  const isSound = async (start: number, bit: number) => {
    const log = madeUp()
    const at = start + (bit >> 3)
    log[at] = (log[at] as number) ^ (1 << (bit & 7))
    const outcome = await decoded(log).catch((error) => error)
    if (Array.isArray(outcome)) return outcome.every(({ from, end }) => from <= end && end <= log.length)
    refused++
    return /^(not-a-write-log|write-log-damaged)$/.test(outcome.code)
  }
  // Where superblock and entries stand.
  const starts = fc.constantFrom(0, 512, 2048, 2560)
  await holds(t, 2000, fc.asyncProperty(starts, below(256), isSound))
  t.ok(refused > 100, `${refused} of 2000 refused`)
})

const tools = await labTools(t)

if (tools) {
  await t.test("QEMU's own log leads to QEMU's own disk", async (t) => {
    const folder = t.testdir()
    const [disk, log] = [join(folder, 'disk.raw'), join(folder, 'writes.log')]
    await writeFile(disk, Buffer.alloc(4 * MiB, 'a'))
    await writeFile(log, '')
    const file = `file.driver=raw,file.file.driver=file,file.file.filename=${disk}`
    const chain = `driver=blklogwrites,discard=unmap,${file},log.driver=file,log.filename=${log}`
    const commands = ['write -P 0x11 0 4k', 'write -P 0x22 8k 512', 'flush', 'write -z 16k 64k']
    const more = ['discard 32k 4k', 'write -f -P 0x33 1M 1k', 'write -P 0x44 2k 512', 'flush']
    await tools.run({
      tool: 'qemu-io',
      args: ['--image-opts', chain, ...[...commands, ...more].flatMap((command) => ['-c', command])],
      binds: [{ path: folder, write: true }],
    })
    const text = await readFile(log)
    const entries = await decoded(text)
    const replayed = Buffer.alloc(4 * MiB, 'a')
    for (const { at, bytes, from, discard } of entries) {
      if (discard) replayed.fill(0, at, at + bytes)
      else replayed.set(text.subarray(from, from + bytes), at)
    }
    t.ok(replayed.equals(await readFile(disk)))
    t.strictSame(
      entries.filter(({ bytes }) => bytes > 0).map(({ at, bytes, discard }) => [at, bytes, discard]),
      [
        [0, 4096, false],
        [8192, 512, false],
        [16_384, 65_536, false],
        [32_768, 4096, true],
        [MiB, 1024, false],
        [2048, 512, false],
      ],
    )
    // QEMU makes a flush of FUA: after the second write, the one with FUA, and the last.
    for (const at of [8192, MiB, 2048]) {
      const index = entries.findIndex((entry) => entry.at === at)
      t.ok(entries[index + 1]?.flush, `a flush follows the write at ${at}`)
    }
  })
}
