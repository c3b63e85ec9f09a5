import t from 'tap'
import { decodeMbr, encodeProtectiveMbr, withoutProtective } from '../../src/disk/mbr.js'

t.test('a protective MBR is what UEFI 2.10, table 5.4 says', async (t) => {
  const mbr = encodeProtectiveMbr(0x12345678, Buffer.from([0xeb, 0x63]), 0xaabbccdd)
  t.equal(mbr.length, 512)
  t.equal(mbr.toString('hex', 0, 4), 'eb630000')
  t.equal(mbr.toString('hex', 440, 446), 'ddccbbaa' + '0000')
  t.equal(mbr.toString('hex', 446, 462), '00' + '000200' + 'ee' + 'ffffff' + '01000000' + '77563412')
  t.equal(mbr.toString('hex', 510), '55aa')
})

t.test('with boot code a second record is active, as xorriso writes it', async (t) => {
  const mbr = encodeProtectiveMbr(1000, Buffer.from([0xeb, 0x63]))
  t.equal(mbr.toString('hex', 462, 478), '80' + '000100' + '00' + '000100' + '00000000' + '01000000')
  t.ok(mbr.subarray(478, 510).every((byte) => byte === 0))
  t.match(decodeMbr(mbr), { protective: true, active: true, records: [{ active: false, osType: 0xee }] })
})

t.test('without boot code no record is active: a BIOS goes on to the next disk', async (t) => {
  const mbr = encodeProtectiveMbr(1000)
  t.ok(mbr.subarray(462, 510).every((byte) => byte === 0))
  t.match(decodeMbr(mbr), { protective: true, active: false })
})

t.test('LBA 0 of two disks differs in the protective record alone', async (t) => {
  const [small, large] = [1000, 2000].map((sectors) => encodeProtectiveMbr(sectors, Buffer.alloc(440, 7)))
  t.notOk(small?.equals(large as Buffer))
  t.ok(withoutProtective(small as Buffer).equals(withoutProtective(large as Buffer)))
  t.notOk(withoutProtective(small as Buffer).equals(withoutProtective(encodeProtectiveMbr(1000))))
})

t.test('what was encoded is decoded', async (t) => {
  const mbr = decodeMbr(encodeProtectiveMbr(1000, Buffer.alloc(440, 7), 5))
  t.ok(mbr.protective)
  t.equal(mbr.diskSignature, 5)
  t.same(mbr.bootCode, Buffer.alloc(440, 7))
  t.same(mbr.records, [{ active: false, osType: 0xee, first: 1, sectors: 999 }])
})

t.test('a disk over 2 TiB has the largest size that fits', async (t) => {
  t.equal(decodeMbr(encodeProtectiveMbr(2 ** 33)).records[0]?.sectors, 0xffffffff)
})

t.test('boot code that does not fit is our bug', async (t) => {
  t.throws(() => encodeProtectiveMbr(1000, Buffer.alloc(441)), /BUG/)
})

t.test('a hybrid or ordinary MBR is not protective', async (t) => {
  const hybrid = encodeProtectiveMbr(1000)
  hybrid[462 + 4] = 0x83
  t.equal(decodeMbr(hybrid).records.length, 2)
  t.notOk(decodeMbr(hybrid).protective)
  const ordinary = encodeProtectiveMbr(1000)
  ordinary[446 + 4] = 0x83
  ordinary[446] = 0x80
  t.match(decodeMbr(ordinary), { protective: false, records: [{ active: true, osType: 0x83 }] })
})

t.test('no MBR', async (t) => {
  t.throws(() => decodeMbr(Buffer.alloc(512)), { code: 'no-mbr' })
  t.throws(() => decodeMbr(Buffer.alloc(511)), { code: 'truncated' })
})
