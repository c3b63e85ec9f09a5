/**
 * A whole GPT disk in a file: its length, its first sector, and both copies of its table. What the partitions hold is
 * written by who knows.
 */
import type { FileHandle } from 'node:fs/promises'
import { SECTOR } from '../base/units.js'
import { BACKUP_SECTORS, encodeGpt, type GptPartition } from './gpt.js'
import { encodeProtectiveMbr } from './mbr.js'
import { writeAt } from './sparse.js'

export interface GptDisk {
  guid: string
  /** Of the whole disk. */
  sectors: number
  partitions: readonly Omit<GptPartition, 'attributes'>[]
  /** For a BIOS; at most 440 bytes. */
  bootCode?: Buffer | undefined
}

/** Writes to a new file. */
export async function writeGptDisk(
  file: FileHandle,
  { guid, sectors, partitions, bootCode }: GptDisk,
): Promise<void> {
  const plain = partitions.map((partition) => ({ ...partition, attributes: 0n }))
  const { primary, backup } = encodeGpt(guid, sectors, plain)
  await file.truncate(sectors * SECTOR)
  await writeAt(file, encodeProtectiveMbr(sectors, bootCode), 0)
  await writeAt(file, primary, SECTOR)
  await writeAt(file, backup, (sectors - BACKUP_SECTORS) * SECTOR)
}
