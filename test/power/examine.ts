/**
 * Examines a stick that lost power, without starting it: as far as the stick itself, and then a guest on it, would get by
 * what they do at every start. Other people's tools judge; nothing is mounted and nothing needs root.
 *
 * The way in: first sector, partition table, data's file system (after its journal was replayed, as the initrd has it), the
 * guest's overlay, the file system in it (again with its journal), the file with the guest's records.
 */

import { existsSync } from 'node:fs'
import { open, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { ARCHITECTURES } from '../../src/arch/architecture.js'
import { KeyvisorError } from '../../src/base/errors.js'
import type { ToolRunner } from '../../src/base/tool.js'
import { exitStatus, lastWords } from '../../src/base/tool-errors.js'
import { type Bytes, SECTOR } from '../../src/base/units.js'
import { readFat, readPieces } from '../../src/disk/fat-read.js'
import { type Gpt, type GptPartition, type ReadAt, readGpt } from '../../src/disk/gpt.js'
import { decodeMbr, withoutProtective } from '../../src/disk/mbr.js'
import type { Inspection } from '../../src/media/inspect.js'
import { guestBases, type StickManifest } from '../../src/stick/manifest.js'
import { takeFromLibrary } from '../support/library.js'
import type { Replay } from './replay.js'

/** How far the stick had come: no data partition, one that is not formatted, one without the guest's overlay, all. */
export type Stage = 'table' | 'format' | 'overlay' | 'guest'

export interface Findings {
  stage: Stage
  /** The guest's records, from 1 on without a gap. */
  records: number
  /** What should not be, one sentence each. */
  problems: string[]
}

/** Whose records are counted. */
export interface Witness {
  guest: string
  /** File in the guest. */
  file: string
  /** What record `number`, from 1 on, is in that file. */
  record: (number: number) => string
}

export interface Examiner {
  /** Examines what stands in the replay's file now. */
  examine(replay: Replay): Promise<Findings>
}

/** `inspection` is of the image that was on the stick at first; `folder` is the examiner's own. */
export async function openExaminer(
  inspection: Inspection,
  witness: Witness,
  folder: string,
  tools: ToolRunner,
): Promise<Examiner> {
  const base = await unpackBase(inspection, witness, folder, tools)
  const firstSector = await firstSectorOf(inspection.path)
  const settings = inspection.partitions.find(({ name }) => name === 'settings')
  const files = {
    base,
    data: join(folder, 'data.img'),
    overlay: join(folder, 'overlay.qcow2'),
    root: join(folder, 'root.img'),
    extent: await rootExtent(base),
  }
  return {
    async examine(replay) {
      const problems: string[] = []
      const table = await believedTable(replay, problems)
      problems.push(...movedPartitions(inspection, table))
      problems.push(...changedFirstSector(firstSector, await replay.read(0, SECTOR)))
      if (settings) problems.push(...(await settingsProblems(settings, replay.read)))
      const data = table?.partitions.find(({ number }) => number === inspection.layout.data?.number)
      if (!data) return { stage: 'table', records: 0, problems }
      // The initrd formats what does not have this name yet.
      if (data.name !== inspection.layout.data?.name) return { stage: 'format', records: 0, problems }
      await replay.extract(data.first, data.last, files.data)
      return examineData(witness, files, runnerIn(folder, tools), problems)
    },
  }
}

interface Files {
  /** The guest's base image, unpacked; the data partition; the guest's overlay, and the file system of its root. */
  base: string
  data: string
  overlay: string
  root: string
  /** Where the root is on the guest's disk. */
  extent: Extent
}

interface Extent {
  offset: Bytes
  size: Bytes
}

async function examineData(witness: Witness, files: Files, run: Run, problems: string[]): Promise<Findings> {
  problems.push(...(await recoverExt4(run, files.data)).map((problem) => `data: ${problem}`))
  await rm(files.overlay, { force: true })
  await run('debugfs', '-R', `dump /guests/${witness.guest}/disk.qcow2 ${files.overlay}`, files.data)
  // debugfs makes the file only when it found the one that it copies.
  if (!existsSync(files.overlay)) return { stage: 'overlay', records: 0, problems }
  const { base, overlay, root, extent } = files
  const chain = (at: string) =>
    `${at}driver=qcow2,${at}file.filename=${overlay},${at}backing.driver=raw,${at}backing.file.filename=${base}`
  const check = await run('qemu-img', 'check', '-q', '--image-opts', chain(''))
  // 3: clusters that nobody uses, which cost space and nothing else (qemu-img(1)).
  if (check.code !== 0 && check.code !== 3) problems.push(`overlay: ${check.text}`)
  // The root alone: e2fsck forgets an `?offset=` when it has replayed a journal.
  const part = `driver=raw,offset=${extent.offset},size=${extent.size},${chain('file.')}`
  const convert = await run('qemu-img', 'convert', '--image-opts', '-O', 'raw', part, root)
  if (convert.code !== 0) return { stage: 'guest', records: 0, problems: [...problems, convert.text] }
  return { stage: 'guest', records: await readRecords(witness, root, run, problems), problems }
}

async function readRecords(
  { guest, file, record }: Witness,
  root: string,
  run: Run,
  problems: string[],
): Promise<number> {
  problems.push(...(await recoverExt4(run, root)).map((problem) => `${guest}: ${problem}`))
  const { text } = await run('debugfs', '-R', `cat ${file}`, root)
  const read = countRecords(text, record)
  if (read.problem) problems.push(`${guest}: ${read.problem}`)
  return read.records
}

/** How many records a text begins with, and what stands behind them that is none; a part of the next one may. Pure. */
export function countRecords(
  text: string,
  record: (number: number) => string,
): { records: number; problem?: string } {
  let at = 0
  let records = 0
  while (text.startsWith(record(records + 1), at)) at += record(++records).length
  const rest = text.slice(at)
  if (record(records + 1).startsWith(rest)) return { records }
  return { records, problem: `behind record ${records} stands ${JSON.stringify(rest.slice(0, 80))}` }
}

// ------------------------------------------------------------------------------------ Partition table

/** The copy that firmware and the initrd would take: the primary, else the backup in the last sector. */
async function believedTable(replay: Replay, problems: string[]): Promise<Gpt | undefined> {
  const sectors = replay.size / SECTOR
  const primary = await believed(replay.read, 1, sectors)
  const table = primary ?? (await believed(replay.read, sectors - 1, sectors))
  if (!table) problems.push('neither copy of the partition table can be believed')
  return table
}

async function believed(read: ReadAt, lba: number, sectors: number): Promise<Gpt | undefined> {
  return readGpt(read, lba, sectors).catch((error) => {
    if (error instanceof KeyvisorError) return undefined
    throw error
  })
}

/** Partitions of the image must lie where they lay. */
function movedPartitions({ partitions }: Inspection, table: Gpt | undefined): string[] {
  if (!table) return []
  const extent = (partition?: Pick<GptPartition, 'first' | 'last'>) =>
    partition && `${partition.first} to ${partition.last}`
  return partitions.flatMap((wanted) => {
    const found = extent(table.partitions.find(({ number }) => number === wanted.number))
    return found === extent(wanted)
      ? []
      : [`partition ${wanted.number} has the sectors ${found ?? 'of none'}`]
  })
}

async function firstSectorOf(image: string): Promise<Buffer> {
  const file = await open(image, 'r')
  try {
    return (await file.read(Buffer.alloc(SECTOR), 0, SECTOR, 0)).buffer
  } finally {
    await file.close()
  }
}

/** A BIOS must find boot code and active record of the image, and UEFI firmware a protective record. */
function changedFirstSector(image: Buffer, sector: Buffer): string[] {
  if (!decodeMbr(sector).protective) return ['LBA 0 is not a protective MBR']
  return withoutProtective(sector).equals(withoutProtective(image)) ? [] : ["LBA 0 is not the image's"]
}

// ------------------------------------------------------------------------------------ File systems and images

/** The stick writes one file there, now and then: it is whole, or not there, and what else is there stays. */
export async function settingsProblems(
  { first }: Pick<GptPartition, 'first'>,
  read: ReadAt,
): Promise<string[]> {
  const inside: ReadAt = (offset, length) => read(first * SECTOR + offset, length)
  try {
    const { files } = await readFat(inside)
    const textOf = async (name: string) => {
      const found = files.find(({ path }) => path === `/${name}`)
      return found && (await readPieces(inside, found.pieces)).toString('latin1')
    }
    const [readme, last] = [await textOf('README.txt'), await textOf('last-boot.txt')]
    return [
      ...(readme?.startsWith('This is a Keyvisor stick') ? [] : ['settings: README.txt is not as it was']),
      ...(last === undefined || /^Keyvisor [^\0]*\nShut down [^\0]*\r\n$/.test(last)
        ? []
        : [`settings: last-boot.txt is not whole: ${JSON.stringify(last.slice(0, 80))}`]),
    ]
  } catch (error) {
    if (error instanceof KeyvisorError) return [`settings: ${error.message}`]
    throw error
  }
}

type Run = (tool: string, ...args: string[]) => Promise<{ code: number; text: string }>

/** A tool that fails is an answer here: its code, and what it said. */
function runnerIn(folder: string, tools: ToolRunner): Run {
  const binds = [{ path: folder, write: true }]
  return async (tool, ...args) => {
    try {
      const { stdout } = await tools.run({ tool, args, binds, timeout: 300 })
      return { code: 0, text: stdout }
    } catch (error) {
      const code = exitStatus(error)
      if (code === undefined) throw error
      return { code, text: `${tool} (${code}): ${lastWords(error as Error).join('; ')}` }
    }
  }
}

/**
 * Replays the journal, as at a start, and then looks whether that was enough. e2fsck(8): 1 says that it corrected
 * something, which `-p` does only where nothing is lost by it.
 */
async function recoverExt4(run: Run, device: string): Promise<string[]> {
  const replayed = await run('e2fsck', '-p', device)
  if (replayed.code > 1) return [replayed.text]
  const whole = await run('e2fsck', '-f', '-n', device)
  return whole.code === 0 ? [] : [whole.text]
}

/** Where the root of a guest from Debian packages begins on its disk (sources/debian/disk.ts). */
async function rootExtent(disk: string): Promise<Extent> {
  const file = await open(disk, 'r')
  try {
    const read: ReadAt = async (offset, length) => {
      const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, offset)
      return buffer.subarray(0, bytesRead)
    }
    const table = await readGpt(read, 1, (await file.stat()).size / SECTOR)
    const root = table.partitions.find(({ type }) => type === ARCHITECTURES.amd64.rootPartition)
    if (!root) throw new KeyvisorError('no-guest-root', 'the guest has no root partition')
    return { offset: root.first * SECTOR, size: (root.last + 1 - root.first) * SECTOR }
  } finally {
    await file.close()
  }
}

/** The guest's base image out of the image's library, as a raw disk. */
async function unpackBase(
  { path, manifest, partitions }: Inspection,
  { guest }: Witness,
  folder: string,
  tools: ToolRunner,
): Promise<string> {
  const { guests } = manifest as unknown as StickManifest
  const found = guests.find(({ name }) => name === guest)
  const base = found && guestBases(found)[0]
  const library = partitions.find(({ payload }) => payload === 'library')
  if (!base || !library) throw new KeyvisorError('no-such-guest', `${path} has no guest ${guest}`)
  const [packed, raw] = [join(folder, 'base.qcow2'), join(folder, 'base.raw')]
  await takeFromLibrary(path, library.first * SECTOR, `${base}.qcow2`, packed)
  const binds = [{ path: folder, write: true }]
  const args = ['convert', '-f', 'qcow2', '-O', 'raw', packed, raw]
  await tools.run({ tool: 'qemu-img', args, binds })
  await rm(packed)
  return raw
}
