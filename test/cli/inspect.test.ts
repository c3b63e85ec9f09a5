/** `inspect` as a user runs it. What it finds in real payloads is tested in `test/media/`. */
import { readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { BACKUP_SECTORS, encodeGpt } from '../../src/disk/gpt.js'
import { encodeProtectiveMbr } from '../../src/disk/mbr.js'
import { MiB, SECTOR } from '../../src/index.js'
import { keyvisor } from '../support/command.js'

const GUID = '0a1b2c3d-4e5f-4071-8293-a4b5c6d7e8f9'
const SECTORS = (16 * MiB) / SECTOR

/** A disk of 16 MiB with two partitions that hold nothing. */
function writeDisk(path: string, names: [string, string]): void {
  const partitions = names.map((name, index) => ({
    number: index + 1,
    name,
    type: GUID,
    guid: GUID.replace('0a', `0${index}`),
    attributes: 0n,
    first: 2048 * (index + 1),
    last: 2048 * (index + 2) - 1,
  }))
  const { primary, backup } = encodeGpt(GUID, SECTORS, partitions)
  const disk = Buffer.alloc(SECTORS * SECTOR)
  encodeProtectiveMbr(SECTORS, Buffer.alloc(440)).copy(disk)
  primary.copy(disk, SECTOR)
  backup.copy(disk, (SECTORS - BACKUP_SECTORS) * SECTOR)
  writeFileSync(path, disk)
}

t.test('the picture, exact, and what is odd', async (t) => {
  const cwd = t.testdir()
  writeDisk(join(cwd, 'a.img'), ['first', 'second'])
  const { code, stdout, stderr } = await keyvisor(['inspect', 'a.img'], { cwd })
  t.equal(code, 0)
  t.equal(stderr, '')
  t.match(stdout, /^a\.img: 16MiB, of which /)
  t.match(stdout, /^1 {2}first +2048 +4095 {2}1MiB +- {2}000?/m)
  t.match(stdout, /^2 {2}second +4096 +6143 {2}1MiB/m)
  t.match(stdout, /^what is odd about it:\n {2}- there is no ESP, and so no manifest$/m)
  t.notMatch(stdout, /≈/)
})

t.test('inspect --json', async (t) => {
  const cwd = t.testdir()
  writeDisk(join(cwd, 'a.img'), ['first', 'second'])
  const { code, stdout } = await keyvisor(['inspect', 'a.img', '--json'], { cwd })
  t.equal(code, 0)
  t.match(JSON.parse(stdout), {
    path: 'a.img',
    size: 16 * MiB,
    manifest: null,
    notes: [String],
    layout: { estimated: false, diskGuid: GUID, sectors: SECTORS, data: null },
    partitions: [
      { number: 1, name: 'first', first: 2048, last: 4095, content: { kind: 'zeros' }, verity: null },
      { number: 2, name: 'second', first: 4096, last: 6143 },
    ],
  })
})

t.test('a hostile name does not reach the terminal', async (t) => {
  const cwd = t.testdir()
  writeDisk(join(cwd, 'a.img'), ['\x1b]0;owned\x07', 'x\nroot hash'])
  const { code, stdout } = await keyvisor(['inspect', 'a.img'], { cwd })
  t.equal(code, 0)
  t.notOk(stdout.includes('\x1b') || stdout.includes('\x07'))
  t.match(stdout, /\?\]0;owned\?/)
  t.notMatch(stdout, /^root hash/m)
})

t.test('what is no image, or half of one', async (t) => {
  const cwd = t.testdir({ 'text.img': 'hello' })
  writeDisk(join(cwd, 'half.img'), ['first', 'second'])
  truncateSync(join(cwd, 'half.img'), 8 * MiB)
  const text = await keyvisor(['inspect', 'text.img'], { cwd })
  t.equal(text.code, 1)
  t.match(text.stderr, /^keyvisor: text\.img is not a disk image: .*\n {2}hint: /)
  const half = await keyvisor(['inspect', 'half.img'], { cwd })
  t.equal(half.code, 1)
  t.match(half.stderr, /^keyvisor: half\.img: .*\n {2}hint: compare its size and checksum/)
  t.equal(readFileSync(join(cwd, 'half.img')).length, 8 * MiB, 'it reads, and never repairs')
})
