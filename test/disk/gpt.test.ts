import fc from 'fast-check'
import t from 'tap'
import { crc32 } from '../../src/disk/crc32.js'
import { BACKUP_SECTORS, decodeGptHeader, encodeGpt, type GptPartition, readGpt } from '../../src/disk/gpt.js'
import { below, type Change, changed, holds, noise, readOrRefused } from '../support/property.js'

const SECTORS = 2048
const DISK = '0a1b2c3d-4e5f-8071-8293-a4b5c6d7e8f9'
const PARTITIONS: GptPartition[] = [
  {
    number: 1,
    type: '21686148-6449-6e6f-744e-656564454649',
    guid: '11111111-2222-8333-8444-555555555555',
    first: 34,
    last: 99,
    attributes: 0n,
    name: 'bios-boot',
  },
  {
    number: 3,
    type: '4f68bce3-e8cd-4db1-96e7-fbcaf984b709',
    guid: '66666666-2222-8333-8444-555555555555',
    first: 100,
    last: SECTORS - 34,
    attributes: 2n ** 63n + 4n,
    name: 'Größe, 36 code units at the very most',
  },
].map((partition) => ({ ...partition, name: partition.name.slice(0, 36) }))

function disk(partitions = PARTITIONS): Buffer {
  const { primary, backup } = encodeGpt(DISK, SECTORS, partitions)
  const bytes = Buffer.alloc(SECTORS * 512)
  primary.copy(bytes, 512)
  backup.copy(bytes, (SECTORS - BACKUP_SECTORS) * 512)
  return bytes
}

const reader = (bytes: Buffer) => async (offset: number, length: number) =>
  bytes.subarray(offset, offset + length)

/** A primary header with one field changed and its checksum right again, as an attacker would make it. */
function forged(write: (header: Buffer) => void, entries?: (array: Buffer) => void): Buffer {
  const bytes = disk()
  const header = bytes.subarray(512, 1024)
  const array = bytes.subarray(1024, 1024 + 128 * 128)
  entries?.(array)
  header.writeUInt32LE(crc32(array), 88)
  write(header)
  const size = Math.min(512, header.readUInt32LE(12))
  header.writeUInt32LE(0, 16)
  header.writeUInt32LE(crc32(header.subarray(0, size)), 16)
  return bytes
}

t.test('both copies come back as they were', async (t) => {
  const bytes = disk()
  const primary = await readGpt(reader(bytes), 1, SECTORS)
  const backup = await readGpt(reader(bytes), SECTORS - 1, SECTORS)
  t.same(primary.partitions, PARTITIONS)
  t.same(backup.partitions, PARTITIONS)
  t.match(primary.header, {
    diskGuid: DISK,
    myLba: 1,
    alternateLba: 2047,
    firstUsable: 34,
    lastUsable: 2014,
    entriesLba: 2,
    entryCount: 128,
  })
  t.match(backup.header, { diskGuid: DISK, myLba: 2047, alternateLba: 1, entriesLba: 2015 })
})

t.test('the header stands where UEFI 2.10, table 5.5 says', async (t) => {
  const header = disk().subarray(512, 1024)
  t.equal(header.toString('latin1', 0, 8), 'EFI PART')
  t.equal(header.toString('hex', 8, 16), '00000100' + '5c000000')
  t.equal(header.toString('hex', 24, 40), '0100000000000000' + 'ff07000000000000')
  t.equal(header.toString('hex', 56, 72), '3d2c1b0a5f4e71808293a4b5c6d7e8f9')
  t.equal(header.toString('hex', 72, 88), '0200000000000000' + '80000000' + '80000000')
  t.ok(header.subarray(92).every((byte) => byte === 0))
})

t.test('what does not fit is our bug', async (t) => {
  const [first, second] = PARTITIONS as [GptPartition, GptPartition]
  const wrong: GptPartition[][] = [
    [{ ...first, first: 33 }],
    [{ ...second, last: SECTORS - 33 }],
    [{ ...first, last: 100 }, second],
    [{ ...first, first: 50, last: 49 }],
    [{ ...first, number: 129 }],
    [{ ...first, number: 0 }],
    [{ ...first, name: 'x'.repeat(37) }],
  ]
  for (const partitions of wrong) t.throws(() => encodeGpt(DISK, SECTORS, partitions), /BUG/)
})

t.test('any changed bit of header or entries is found', async (t) => {
  const bytes = disk().subarray(0, 34 * 512)
  const isFound = async (bit: number) => {
    const byte = (bytes[bit >> 3] as number) ^ (1 << (bit & 7))
    const flipped = changed(bytes, [{ at: bit >> 3, byte }])
    return (await readOrRefused(() => readGpt(reader(flipped), 1, SECTORS))) === undefined
  }
  for (let bit = 0; bit < 92 * 8; bit++)
    if (!(await isFound(512 * 8 + bit))) t.fail(`bit ${bit} of the header`)
  const inEntries = below(128 * 128 * 8).map((bit) => 1024 * 8 + bit)
  await holds(t, 400, fc.asyncProperty(inEntries, isFound))
  await t.resolves(readGpt(reader(bytes), 1, SECTORS))
})

t.test('a disk that was cut off', async (t) => {
  const bytes = disk()
  await t.rejects(readGpt(reader(bytes.subarray(0, 512)), 1, SECTORS), { code: 'no-gpt' })
  await t.rejects(readGpt(reader(bytes.subarray(0, 600)), 1, SECTORS), { code: 'no-gpt' })
  await t.rejects(readGpt(reader(bytes.subarray(0, 5000)), 1, SECTORS), {
    code: 'gpt-damaged',
    message: /cut off/,
  })
  await t.rejects(readGpt(reader(bytes), 1, 1000), { code: 'gpt-damaged', message: /other copy at LBA 2047/ })
})

t.test('headers made to do harm, with right checksums', async (t) => {
  const cases: [RegExp, (header: Buffer) => void][] = [
    [/its header has 91 bytes/, (header) => header.writeUInt32LE(91, 12)],
    [/its header has 4294967295 bytes/, (header) => header.writeUInt32LE(0xffffffff, 12)],
    [/revision/, (header) => header.writeUInt32LE(0x20000, 8)],
    [/stands at LBA 7/, (header) => header.writeUInt32LE(7, 24)],
    [/other copy/, (header) => header.writeUInt32LE(1, 32)],
    [/other copy/, (header) => header.fill(0xff, 32, 40)],
    [/entries have 0 bytes/, (header) => header.writeUInt32LE(0, 84)],
    [/entries have 127 bytes/, (header) => header.writeUInt32LE(127, 84)],
    [/entries have 384 bytes/, (header) => header.writeUInt32LE(384, 84)],
    [/entries have 2147483648 bytes/, (header) => header.writeUInt32LE(2 ** 31, 84)],
    [/4294967295 entries/, (header) => header.writeUInt32LE(0xffffffff, 80)],
    [/has 0 entries/, (header) => header.writeUInt32LE(0, 80)],
    [/entries stand at LBA 1$/, (header) => header.writeUInt32LE(1, 72)],
    [/entries stand at LBA 2047/, (header) => header.writeUInt32LE(2047, 72)],
    [/entries stand at LBA 1844/, (header) => header.fill(0xff, 72, 80)],
    [/in the usable sectors/, (header) => header.writeUInt32LE(1000, 72)],
    [/usable sectors are 34 to 2048/, (header) => header.writeUInt32LE(2048, 48)],
    [/usable sectors are 34 to 2 /, (header) => header.writeUInt32LE(2, 48)],
  ]
  for (const [message, write] of cases) {
    await t.rejects(
      readGpt(reader(forged(write)), 1, SECTORS),
      { code: 'gpt-damaged', message },
      `${message}`,
    )
  }
})

t.test('entries made to do harm, with right checksums', async (t) => {
  const cases: [RegExp, (array: Buffer) => void][] = [
    [/partitions 1 and 3 overlap/, (array) => array.writeUInt32LE(100, 40)],
    [/partition 1 ends at LBA 20, before its start/, (array) => array.writeUInt32LE(20, 40)],
    [/partition 1 \(LBA 33 to 99\) leaves/, (array) => array.writeUInt32LE(33, 32)],
    [/partition 3 .* leaves/, (array) => array.fill(0xff, 256 + 40, 256 + 48)],
  ]
  for (const [message, write] of cases) {
    const bytes = forged(() => {}, write)
    await t.rejects(readGpt(reader(bytes), 1, SECTORS), { code: 'gpt-damaged', message }, `${message}`)
  }
})

t.test('noise never ends in anything but an error for people', async (t) => {
  const readNoise = async (changes: Change[]) => {
    const bytes = forged((header) => void changed(header, changes).copy(header))
    const gpt = await readOrRefused(() => readGpt(reader(bytes), 1, SECTORS))
    if (gpt) decodeGptHeader(bytes.subarray(512, 1024), 1, SECTORS)
  }
  await holds(t, 2000, fc.asyncProperty(noise(8, 92, 6), readNoise))
})
