import fc from 'fast-check'
import t from 'tap'
import {
  alignUp,
  formatBytes,
  formatCpus,
  formatSize,
  GiB,
  KiB,
  MiB,
  parseBytes,
  parsePercent,
  SIZE_PATTERN,
  TiB,
} from '../../src/base/units.js'
import { below, holds } from '../support/property.js'

t.test('sizes are read in binary units alone', async (t) => {
  t.equal(parseBytes('0B'), 0)
  t.equal(parseBytes('731B'), 731)
  t.equal(parseBytes('4KiB'), 4096)
  t.equal(parseBytes('512MiB'), 536_870_912)
  t.equal(parseBytes('4GiB'), 4_294_967_296)
  t.equal(parseBytes('2TiB'), 2_199_023_255_552)
  for (const text of ['4G', '4GB', '4', '4 GiB', '4gib', '1.5GiB', '-1GiB', '', 'GiB', '4GiB\n', '0x4GiB']) {
    t.equal(parseBytes(text), undefined, JSON.stringify(text))
    t.notMatch(text, SIZE_PATTERN)
  }
})

t.test('a size that a number cannot carry exactly is none', async (t) => {
  t.equal(parseBytes('9007199254740991B'), Number.MAX_SAFE_INTEGER)
  t.equal(parseBytes('9007199254740992B'), undefined)
  t.equal(parseBytes('9999999999999TiB'), undefined)
})

t.test('a share is read as whole percent, from 1 to 100', async (t) => {
  t.equal(parsePercent('1%'), 1)
  t.equal(parsePercent('50%'), 50)
  t.equal(parsePercent('100%'), 100)
  for (const text of ['0%', '05%', '101%', '50', '50 %', '50.5%', '%', '', '1GiB', '50%\n']) {
    t.equal(parsePercent(text), undefined, JSON.stringify(text))
  }
})

t.test('sizes are written as a person reads them', async (t) => {
  t.equal(formatBytes(0), '0B')
  t.equal(formatBytes(1023), '1023B')
  t.equal(formatBytes(KiB), '1KiB')
  t.equal(formatBytes(512 * MiB), '512MiB')
  t.equal(formatBytes(1.5 * GiB), '1.5GiB')
  t.equal(formatBytes(TiB), '1TiB')
  t.equal(formatBytes(GiB + MiB), '1GiB')
})

t.test('whole numbers of a unit come back as they went', async (t) => {
  const units = fc.constantFrom(1, KiB, MiB, GiB, TiB)
  const comesBack = (count: number, unit: number) => parseBytes(formatBytes(count * unit)) === count * unit
  await holds(t, 200, fc.property(fc.integer({ min: 1, max: 1023 }), units, comesBack))
})

t.test('alignUp gives the least multiple that is not below', async (t) => {
  t.equal(alignUp(0, 512), 0)
  t.equal(alignUp(1, 512), 512)
  t.equal(alignUp(512, 512), 512)
  t.equal(alignUp(513, 512), 1024)
  const isLeast = (value: number, alignment: number) => {
    const up = alignUp(value, alignment)
    return up >= value && up < value + alignment && up % alignment === 0
  }
  await holds(t, 200, fc.property(below(2 ** 30), fc.integer({ min: 1, max: 2 ** 20 }), isLeast))
})

t.test('CPUs are counted as people do', async (t) => {
  t.equal(formatCpus(1), '1 CPU')
  t.equal(formatCpus(16), '16 CPUs')
})

t.test('sizes are written as a profile has them, and exactly', async (t) => {
  t.equal(formatSize(0), '0B')
  t.equal(formatSize(513), '513B')
  t.equal(formatSize(96 * MiB), '96MiB')
  t.equal(formatSize(2 * GiB - 512), '2147483136B')
  t.equal(formatSize(1024 * GiB), '1TiB')
  t.equal(formatSize(1536 * KiB), '1536KiB')
})
