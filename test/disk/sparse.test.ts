/** Reading ahead, and sparse writing. */
import { readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import { type Bytes, KiB, MiB } from '../../src/base/units.js'
import { CHUNK, readAhead } from '../../src/disk/read-ahead.js'
import { copyFileSparse, copySparse, filledRuns, HOLE, isZeros, writeAt } from '../../src/disk/sparse.js'
import { below, holds } from '../support/property.js'

const pattern = (length: number) => Buffer.alloc(length, 'some bytes, one behind the other; ')

async function pieces(file: FileHandle): Promise<Buffer[]> {
  const found: Buffer[] = []
  for await (const chunk of readAhead(file)) found.push(Buffer.from(chunk))
  return found
}

t.test('a file comes in pieces, in its order, and whole', async (t) => {
  const path = join(t.testdir(), 'file')
  for (const size of [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK, 3 * CHUNK + 5]) {
    const bytes = pattern(size)
    writeFileSync(path, bytes)
    const file = await open(path)
    const found = await pieces(file)
    await file.close()
    t.ok(Buffer.concat(found).equals(bytes), `${size} bytes`)
    t.equal(found.length, Math.ceil(size / CHUNK))
    t.ok(found.slice(0, -1).every(({ length }) => length === CHUNK))
  }
})

/** A file whose reads are such: of the bytes wanted, how many are given; undefined: it fails. */
function fakeFile(bytes: Buffer, given: (wanted: number, call: number) => number | undefined) {
  let calls = 0
  let open = 0
  const read = async (buffer: Buffer, offset: number, length: number, at: number) => {
    const most = given(length, calls++)
    open++
    await new Promise(setImmediate)
    open--
    if (most === undefined) throw Object.assign(new Error('EIO'), { code: 'EIO' })
    return { bytesRead: bytes.subarray(at, at + Math.min(most, length)).copy(buffer, offset) }
  }
  return { file: { read } as unknown as FileHandle, calls: () => calls, open: () => open }
}

t.test('reads that give less than was asked for', async (t) => {
  const bytes = pattern(2 * CHUNK + 777)
  const { file } = fakeFile(bytes, (wanted, call) => Math.min(wanted, 1 + ((call * 300_007) % (2 * MiB))))
  const found = await pieces(file)
  t.ok(Buffer.concat(found).equals(bytes))
  t.strictSame(
    found.map(({ length }) => length),
    [CHUNK, CHUNK, 777],
    'pieces are whole all the same',
  )
})

t.test('while a piece is worked on the next one is read, and no further', async (t) => {
  const { file, calls } = fakeFile(pattern(4 * CHUNK), (wanted) => wanted)
  const reader = readAhead(file)
  await reader.next()
  t.equal(calls(), 2)
  await reader.next()
  t.equal(calls(), 3)
  await reader.return(undefined)
})

t.test('a read that fails is told once, when its piece is asked for', async (t) => {
  const { file } = fakeFile(pattern(4 * CHUNK), (wanted, call) => (call === 1 ? undefined : wanted))
  const reader = readAhead(file)
  t.equal((await reader.next()).value?.length, CHUNK)
  await new Promise((resolve) => setTimeout(resolve, 10))
  await t.rejects(reader.next(), { code: 'EIO' })
})

t.test('whoever ends early may close the file', async (t) => {
  for (const fails of [false, true]) {
    const { file, open } = fakeFile(pattern(4 * CHUNK), (wanted, call) =>
      fails && call === 1 ? undefined : wanted,
    )
    for await (const _ of readAhead(file)) break
    t.equal(open(), 0, 'no read is under way')
  }
})

t.test('what is zero, and the runs of what is not', async (t) => {
  t.ok(isZeros(Buffer.alloc(0)))
  t.ok(isZeros(Buffer.alloc(CHUNK)))
  t.notOk(isZeros(Buffer.from([0, 0, 1])))
  t.strictSame(filledRuns(Buffer.alloc(3 * HOLE)), [])
  const bytes = Buffer.alloc(5 * HOLE + 100)
  bytes[HOLE] = 1
  bytes[3 * HOLE - 1] = 1
  bytes[bytes.length - 1] = 1
  t.strictSame(filledRuns(bytes), [
    [HOLE, 3 * HOLE],
    [5 * HOLE, bytes.length],
  ])
})

t.test('a write that takes less than it was given goes on', async (t) => {
  const written = Buffer.alloc(100)
  const write = async (bytes: Buffer, from: number, length: number, at: number) => {
    const taken = Math.min(7, length)
    bytes.copy(written, at, from, from + taken)
    return { bytesWritten: taken }
  }
  await writeAt({ write } as unknown as FileHandle, pattern(50), 10)
  t.ok(written.subarray(10, 60).equals(pattern(50)))
  t.ok(isZeros(written.subarray(60)))
})

async function copied(source: string, target: string, at: Bytes): Promise<Buffer[]> {
  const passed: Buffer[] = []
  const file = await open(target, 'r+')
  try {
    await copyFileSparse(source, file, at, (bytes) => passed.push(Buffer.from(bytes)))
  } finally {
    await file.close()
  }
  return passed
}

t.test('bytes come to their place, holes stay holes, and each byte is passed once', async (t) => {
  const folder = t.testdir()
  const [source, target] = [join(folder, 'source'), join(folder, 'target')]
  writeFileSync(source, pattern(100 * KiB))
  truncateSync(source, 9 * MiB)
  writeFileSync(source, 'end', { flag: 'a' })
  writeFileSync(target, '')
  truncateSync(target, 20 * MiB)
  const passed = await copied(source, target, MiB)
  const bytes = readFileSync(source)
  t.ok(Buffer.concat(passed).equals(bytes))
  const found = readFileSync(target)
  t.ok(found.subarray(MiB, MiB + bytes.length).equals(bytes))
  t.ok(isZeros(found.subarray(0, MiB)))
  t.ok(found.subarray(MiB + bytes.length).every((byte) => byte === 0))
  t.ok(statSync(target).blocks * 512 <= 3 * HOLE + 64 * KiB)
})

t.test('what is thrown while a piece is passed ends the copy', async (t) => {
  const folder = t.testdir({ source: pattern(64 * KiB), target: '' })
  const file = await open(join(folder, 'target'), 'r+')
  const source = await open(join(folder, 'source'))
  const stop = () => {
    throw new Error('stop')
  }
  await t.rejects(copySparse(source, file, 0, stop), { message: 'stop' })
  // Nothing is under way that would write to it, or read from it.
  await file.close()
  await source.close()
  await t.rejects(copyFileSparse(join(folder, 'none'), file, 0), { code: 'ENOENT' })
})

t.test('any file is copied as it is', async (t) => {
  const folder = t.testdir()
  const [source, target] = [join(folder, 'source'), join(folder, 'target')]
  const piece = fc.tuple(below(6 * MiB), fc.uint8Array({ minLength: 1, maxLength: 100 }))
  const isSame = async (parts: [number, Uint8Array][], at: number) => {
    const bytes = Buffer.alloc(Math.max(0, ...parts.map(([start, { length }]) => start + length)))
    for (const [start, part] of parts) bytes.set(part, start)
    writeFileSync(source, bytes)
    writeFileSync(target, '')
    await copied(source, target, at)
    const end = readFileSync(target).subarray(at)
    return Buffer.concat([end], bytes.length).equals(bytes)
  }
  await holds(t, 20, fc.asyncProperty(fc.array(piece, { maxLength: 6 }), below(MiB), isSame))
})
