/**
 * The disk of another system in a PC: a partition table and a file system that a boot of the stick must leave alone.
 */

import { open } from 'node:fs/promises'
import { dirname } from 'node:path'
import { ARCHITECTURES, USUAL_ARCHITECTURE } from '../arch/architecture.js'
import { derivedUuid } from '../base/digests.js'
import { MiB, SECTOR } from '../base/units.js'
import { BACKUP_SECTORS } from '../disk/gpt.js'
import { writeGptDisk } from '../disk/gpt-disk.js'
import type { Workplace } from '../store/workplace.js'
import { openCheckTools } from '../tools/lab-tools.js'
import type { PcDisk } from './virtual-pc.js'

const SIZE = 64 * MiB
const FIRST = MiB / SECTOR
const SECTORS = SIZE / SECTOR

/** Writes the disk to `path`. Throws what {@link openCheckTools} throws. */
export async function makeOtherSystem(path: string, place: Workplace): Promise<PcDisk> {
  const file = await open(path, 'w')
  try {
    const last = SECTORS - BACKUP_SECTORS - 1
    const guid = derivedUuid('other system', 'partition')
    const root = {
      number: 1,
      name: 'other',
      type: ARCHITECTURES[USUAL_ARCHITECTURE].rootPartition,
      guid,
      first: FIRST,
      last,
    }
    const disk = derivedUuid('other system', 'disk')
    await writeGptDisk(file, { guid: disk, sectors: SECTORS, partitions: [root] })
  } finally {
    await file.close()
  }
  const tools = await openCheckTools(place)
  await tools.run({
    tool: 'mke2fs',
    args: ['-q', '-F', '-t', 'ext4', '-L', 'other', '-E', `offset=${MiB}`, path, '60M'],
    binds: [{ path: dirname(path), write: true }],
  })
  return { path, format: 'raw', bus: 'sata', before: true }
}
