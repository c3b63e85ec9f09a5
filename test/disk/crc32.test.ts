import * as zlib from 'node:zlib'
import fc from 'fast-check'
import t from 'tap'
import { crc32 } from '../../src/disk/crc32.js'
import { holds } from '../support/property.js'
import { skipAloud } from '../support/tools.js'

t.test('the check value of the polynomial', async (t) => {
  t.equal(crc32(Buffer.from('123456789')), 0xcbf43926)
  t.equal(crc32(new Uint8Array()), 0)
})

t.test('agrees with zlib, where this Node has zlib.crc32', async (t) => {
  const theirs = (zlib as { crc32?: (bytes: Uint8Array) => number }).crc32
  if (!theirs) return skipAloud(t, 'zlib.crc32 is not in this Node')
  await holds(
    t,
    50,
    fc.property(fc.uint8Array({ maxLength: 2000 }), (bytes) => crc32(bytes) === theirs(bytes)),
  )
})
