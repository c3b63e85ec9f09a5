import assert from 'node:assert/strict'
import { closeSync, openSync, truncateSync, writeFileSync, writeSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import fc, { type Arbitrary } from 'fast-check'
import t from 'tap'
import { derivedUuid } from '../../src/base/digests.js'
import { systemTools } from '../../src/base/tool.js'
import { BACKUP_SECTORS, encodeGpt, FIRST_USABLE, type GptPartition, readGpt } from '../../src/disk/gpt.js'
import { encodeProtectiveMbr } from '../../src/disk/mbr.js'
import { below, holds } from '../support/property.js'
import { needTools } from '../support/tools.js'

interface SfdiskJson {
  partitiontable: {
    label: string
    id: string
    firstlba: number
    lastlba: number
    partitions: { node: string; start: number; size: number; type: string; uuid: string; name: string }[]
  }
}

const DISK = derivedUuid('disk')

/** With it comes an active record, which is not to be taken for a partition. */
const BOOT_CODE = Buffer.from('boot code')

function write(path: string, sectors: number, partitions: GptPartition[]): void {
  const { primary, backup } = encodeGpt(DISK, sectors, partitions)
  writeFileSync(path, Buffer.concat([encodeProtectiveMbr(sectors, BOOT_CODE), primary]))
  truncateSync(path, sectors * 512)
  const file = openSync(path, 'r+')
  writeSync(file, backup, 0, backup.length, (sectors - BACKUP_SECTORS) * 512)
  closeSync(file)
}

interface Disk {
  sectors: number
  partitions: GptPartition[]
}

const MOST = 19

/** Partitions at random places and of random sizes, not in the order of their numbers. */
const disks: Arbitrary<Disk> = fc.oneof(below(10_000), below(2 ** 32)).chain((more) => {
  const sectors = 2048 + more
  const lba = fc.integer({ min: FIRST_USABLE, max: sectors - BACKUP_SECTORS - 1 })
  const name = fc.constantFrom('', 'root-a', 'Größe', 'x'.repeat(36))
  return fc
    .record({
      edges: fc.uniqueArray(lba, { maxLength: 2 * MOST }),
      numbers: fc.uniqueArray(fc.integer({ min: 1, max: 128 }), { minLength: MOST, maxLength: MOST }),
      names: fc.array(name, { minLength: MOST, maxLength: MOST }),
    })
    .map(({ edges, ...more }) => ({ sectors, partitions: between(edges, more) }))
})

/** A partition between each two edges. */
function between(edges: number[], { numbers, names }: { numbers: number[]; names: string[] }) {
  const sorted = [...edges].sort((a, b) => a - b)
  const count = Math.floor(edges.length / 2)
  return Array.from({ length: count }, (_, index) => ({
    number: numbers[index] as number,
    type: derivedUuid('type', `${index}`),
    guid: derivedUuid('partition', `${index}`),
    first: sorted[index * 2] as number,
    last: sorted[index * 2 + 1] as number,
    attributes: 0n,
    name: names[index] as string,
  })).sort((a, b) => a.number - b.number)
}

async function sgdiskVerify(path: string): Promise<string> {
  const { stdout } = await systemTools.run({ tool: 'sgdisk', args: ['-v', path] })
  return stdout
}

t.test('sgdisk and sfdisk accept what we write, and read the same', async (t) => {
  if (!needTools(t, 'sgdisk', 'sfdisk')) return
  const path = join(t.testdir(), 'disk.img')
  const isAccepted = async ({ sectors, partitions }: Disk) => {
    write(path, sectors, partitions)
    const told = await sgdiskVerify(path)
    assert.match(told, /No problems found/)
    assert.doesNotMatch(told, /Creating new GPT entries/)
    const listed = await systemTools.run({ tool: 'gdisk', args: ['-l', path] })
    assert.match(listed.stdout, /MBR: protective\n/)
    await systemTools.run({ tool: 'sfdisk', args: ['--verify', path] })
    const { stdout } = await systemTools.run({ tool: 'sfdisk', args: ['--json', path] })
    const table = (JSON.parse(stdout) as SfdiskJson).partitiontable
    const { label, id, firstlba, lastlba } = table
    const head = { label: 'gpt', id: DISK.toUpperCase(), firstlba: 34, lastlba: sectors - 34 }
    assert.deepEqual({ label, id, firstlba, lastlba }, head)
    assert.deepEqual(
      table.partitions ?? [],
      partitions.map((partition) => asSfdisk(path, partition)),
    )
  }
  await holds(t, 12, fc.asyncProperty(disks, isAccepted))
})

function asSfdisk(path: string, { number, type, guid, first, last, name }: GptPartition) {
  return {
    node: `${path}${number}`,
    start: first,
    size: last - first + 1,
    type: type.toUpperCase(),
    uuid: guid.toUpperCase(),
    ...(name ? { name } : {}),
  }
}

t.test('sgdisk says when it has no GPT to verify', async (t) => {
  if (!needTools(t, 'sgdisk')) return
  const path = join(t.testdir(), 'empty.img')
  writeFileSync(path, '')
  truncateSync(path, 1 << 20)
  t.match(await sgdiskVerify(path), /Creating new GPT entries/, 'so the test above can fail')
})

t.test('we read what sgdisk and sfdisk write', async (t) => {
  if (!needTools(t, 'sgdisk', 'sfdisk')) return
  const path = join(t.testdir(), 'theirs.img')
  const sectors = 20_000
  const readBoth = async () => {
    const file = await open(path)
    const read = async (offset: number, length: number) =>
      (await file.read(Buffer.alloc(length), 0, length, offset)).buffer
    const both = [await readGpt(read, 1, sectors), await readGpt(read, sectors - 1, sectors)]
    await file.close()
    return both
  }
  const parts = {
    type: 'c12a7328-f81f-11d2-ba4b-00a0c93ec93b',
    guid: DISK,
    first: 2048,
    last: 4095,
    name: 'esp',
  }

  writeFileSync(path, '')
  truncateSync(path, sectors * 512)
  const args = [
    '-U',
    DISK,
    '-n',
    '2:2048:4095',
    '-t',
    '2:ef00',
    '-u',
    `2:${DISK}`,
    '-c',
    '2:esp',
    '-A',
    '2:set:2',
  ]
  await systemTools.run({ tool: 'sgdisk', args: [...args, path] })
  for (const gpt of await readBoth()) {
    t.equal(gpt.header.diskGuid, DISK)
    t.same(gpt.partitions, [{ number: 2, ...parts, attributes: 4n }])
  }

  writeFileSync(path, '')
  truncateSync(path, sectors * 512)
  const script = `label: gpt\nlabel-id: ${DISK}\ntable-length: 64\nstart=2048, size=2048, type=${parts.type}, uuid=${DISK}, name=esp\n`
  await systemTools.run({ tool: 'sfdisk', args: ['-q', path], input: script })
  for (const gpt of await readBoth()) {
    t.equal(gpt.header.entryCount, 64)
    t.same(gpt.partitions, [{ number: 1, ...parts, attributes: 0n }])
  }
})
