import * as zlib from 'node:zlib'
import t from 'tap'
import { crc32 } from '../../src/disk/crc32.js'
import { seeded, seedOfRun, skipAloud } from '../support/tools.js'

t.test('the check value of the polynomial', async (t) => {
  t.equal(crc32(Buffer.from('123456789')), 0xcbf43926)
  t.equal(crc32(new Uint8Array()), 0)
})

t.test('agrees with zlib, where this Node has zlib.crc32', async (t) => {
  const theirs = (zlib as { crc32?: (bytes: Uint8Array) => number }).crc32
  if (!theirs) return skipAloud(t, 'zlib.crc32 is not in this Node')
  const random = seeded(seedOfRun())
  for (let round = 0; round < 50; round++) {
    const bytes = Uint8Array.from({ length: random(2000) }, () => random(256))
    t.equal(crc32(bytes), theirs(bytes))
  }
})
