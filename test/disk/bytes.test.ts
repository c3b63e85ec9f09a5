import t from 'tap'
import { KeyvisorError } from '../../src/base/errors.js'
import {
  flags64,
  gap,
  guid,
  latin1,
  raw,
  struct,
  u8,
  u16,
  u32,
  u32be,
  u64,
  u64be,
  utf16,
  uuid,
} from '../../src/disk/bytes.js'

t.test('fields stand one behind the other, in the order of the table', async (t) => {
  const example = struct('an example', {
    one: u8,
    two: u16,
    hole: gap(1),
    four: u32,
    big: u32be,
    text: latin1(4),
  })
  t.equal(example.bytes, 16)
  const bytes = example.encode({ one: 1, two: 0x0203, four: 0x04050607, big: 0x08090a0b, text: 'ab' })
  t.equal(bytes.toString('hex'), '01' + '0302' + '00' + '07060504' + '08090a0b' + '61620000')
  t.same(example.decode(bytes), { one: 1, two: 0x0203, four: 0x04050607, big: 0x08090a0b, text: 'ab' })
  t.equal(example.decode(Buffer.concat([Buffer.alloc(3), bytes]), 3).big, 0x08090a0b)
})

t.test('decoding refuses what is too short', async (t) => {
  const pair = struct('a pair', { one: u32, two: u32 })
  t.throws(() => pair.decode(Buffer.alloc(7)), {
    code: 'truncated',
    message: 'a pair needs 8 bytes, and there are 7',
  })
  t.throws(() => pair.decode(Buffer.alloc(10), 3), { code: 'truncated' })
  t.ok(pair.decode(Buffer.alloc(11), 3))
})

t.test('numbers of 64 bits', async (t) => {
  const both = struct('numbers', { little: u64, big: u64be, flags: flags64 })
  const bytes = both.encode({ little: 2 ** 40 + 1, big: 2 ** 33, flags: 2n ** 63n })
  t.equal(bytes.toString('hex'), '0100000000010000' + '0000000200000000' + '0000000000000080')
  t.same(both.decode(bytes), { little: 2 ** 40 + 1, big: 2 ** 33, flags: 2n ** 63n })
  const hostile = both.decode(Buffer.alloc(24, 0xff))
  t.ok(hostile.little > Number.MAX_SAFE_INTEGER, 'a number too large for us stays too large')
  t.equal(hostile.flags, 2n ** 64n - 1n)
  t.throws(() => both.encode({ little: 2 ** 53, big: 0, flags: 0n }), /BUG/)
  t.throws(() => both.encode({ little: -1, big: 0, flags: 0n }), /BUG/)
})

t.test('GUIDs have their first groups little-endian, UUIDs do not', async (t) => {
  const ids = struct('ids', { guid, uuid })
  const text = 'c12a7328-f81f-11d2-ba4b-00a0c93ec93b'
  const bytes = ids.encode({ guid: text.toUpperCase(), uuid: text })
  // UEFI 2.10, appendix A; these sixteen bytes stand in the entry of every ESP.
  t.equal(bytes.toString('hex'), '28732ac11ff8d211ba4b00a0c93ec93b' + 'c12a7328f81f11d2ba4b00a0c93ec93b')
  t.same(ids.decode(bytes), { guid: text, uuid: text })
  t.throws(() => ids.encode({ guid: 'no', uuid: text }), /BUG/)
})

t.test('text and raw bytes end where their field ends', async (t) => {
  const texts = struct('texts', { wide: utf16(3), bytes: raw(2) })
  t.equal(texts.encode({ wide: 'äb', bytes: Buffer.from([9]) }).toString('hex'), 'e40062000000' + '0900')
  t.same(texts.decode(Buffer.from('e400620063000102', 'hex')), { wide: 'äbc', bytes: Buffer.from([1, 2]) })
  t.throws(() => texts.encode({ wide: 'abcd', bytes: Buffer.alloc(0) }), /BUG/)
  const error = t.throws(() => texts.decode(Buffer.alloc(0)))
  t.ok(error instanceof KeyvisorError)
})
