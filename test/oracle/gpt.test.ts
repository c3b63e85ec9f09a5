import { closeSync, openSync, truncateSync, writeFileSync, writeSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { derivedUuid } from '../../src/base/digests.js'
import { systemTools } from '../../src/base/tool.js'
import { BACKUP_SECTORS, encodeGpt, FIRST_USABLE, type GptPartition, readGpt } from '../../src/disk/gpt.js'
import { encodeProtectiveMbr } from '../../src/disk/mbr.js'
import { needTools, seeded, seedOfRun } from '../support/tools.js'

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

/** Partitions at random places and of random sizes, not in the order of their numbers. */
function randomPartitions(random: (limit: number) => number, sectors: number): GptPartition[] {
  const count = random(20)
  const lastUsable = sectors - BACKUP_SECTORS - 1
  const edges = new Set<number>()
  while (edges.size < count * 2) edges.add(FIRST_USABLE + random(lastUsable - FIRST_USABLE + 1))
  const sorted = [...edges].sort((a, b) => a - b)
  const numbers = Array.from({ length: 128 }, (_, index) => index + 1)
    .map((number) => ({ number, key: random(1000) }))
    .sort((a, b) => a.key - b.key)
  return Array.from({ length: count }, (_, index) => ({
    number: numbers[index]?.number as number,
    type: derivedUuid('type', `${index}`),
    guid: derivedUuid('partition', `${index}`),
    first: sorted[index * 2] as number,
    last: sorted[index * 2 + 1] as number,
    attributes: 0n,
    name: ['', 'root-a', 'Größe', 'x'.repeat(36)][random(4)] as string,
  })).sort((a, b) => a.number - b.number)
}

async function sgdiskVerify(path: string): Promise<string> {
  const { stdout } = await systemTools.run({ tool: 'sgdisk', args: ['-v', path] })
  return stdout
}

t.test('sgdisk and sfdisk accept what we write, and read the same', async (t) => {
  if (!needTools(t, 'sgdisk', 'sfdisk')) return
  const random = seeded(seedOfRun())
  const path = join(t.testdir(), 'disk.img')
  for (let round = 0; round < 12; round++) {
    const sectors = 2048 + random(round % 2 ? 10_000 : 2 ** 32)
    const partitions = randomPartitions(random, sectors)
    write(path, sectors, partitions)
    const told = await sgdiskVerify(path)
    t.match(told, /No problems found/, `${partitions.length} partitions on ${sectors} sectors`)
    t.notMatch(told, /Creating new GPT entries/)
    const listed = await systemTools.run({ tool: 'gdisk', args: ['-l', path] })
    t.match(listed.stdout, /MBR: protective\n/)
    await systemTools.run({ tool: 'sfdisk', args: ['--verify', path] })
    const { stdout } = await systemTools.run({ tool: 'sfdisk', args: ['--json', path] })
    const table = (JSON.parse(stdout) as SfdiskJson).partitiontable
    t.match(table, { label: 'gpt', id: DISK.toUpperCase(), firstlba: 34, lastlba: sectors - 34 })
    t.same(
      table.partitions ?? [],
      partitions.map((partition) => asSfdisk(path, partition)),
    )
  }
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
