/**
 * Assembly: payloads go to their places in one sparse image, which appears under its name when it is whole.
 */
import { open, readFile } from 'node:fs/promises'
import { type Bytes, SECTOR } from '../base/units.js'
import { BACKUP_SECTORS, encodeGpt } from '../disk/gpt.js'
import { patchBootImage, patchCoreImage } from '../disk/grub.js'
import { encodeProtectiveMbr } from '../disk/mbr.js'
import { copySparse, writeAt } from '../disk/sparse.js'
import type { StickPlan } from '../stick/definition.js'
import { biosBootFirst, type Layout } from '../stick/layout.js'
import type { PayloadName } from '../stick/partitions.js'
import { writeWhole } from '../store/whole-file.js'

export interface AssemblyParts {
  layout: Layout
  stick: StickPlan
  /** boot.img of GRUB; the core image is the payload `biosBoot`. */
  bootImage: string
  payloads: Record<PayloadName, { path: string; size: Bytes }>
  /** Secrets are on it: only the builder's user may read it. */
  isPrivate: boolean
}

/** Writes the image to `path`. `onBytes` hears of each payload byte passed; aborting leaves no file. */
export async function assembleImage(
  parts: AssemblyParts,
  path: string,
  onBytes: (bytes: Bytes) => void,
  signal?: AbortSignal,
): Promise<void> {
  await writeWhole(path, (temporary) =>
    writeParts(parts, temporary, (bytes) => {
      signal?.throwIfAborted()
      onBytes(bytes)
    }),
  )
}

async function writeParts(
  parts: AssemblyParts,
  path: string,
  onBytes: (bytes: Bytes) => void,
): Promise<void> {
  const { layout, stick, payloads } = parts
  const core = biosBootFirst(stick)
  // Without code a BIOS goes on to the next disk.
  const isForBios = stick.firmware.includes('bios')
  const bootCode = isForBios ? patchBootImage(await readFile(parts.bootImage), core) : undefined
  const partitions = layout.partitions.map((partition) => ({ ...partition, attributes: 0n }))
  const { primary, backup } = encodeGpt(layout.diskGuid, layout.sectors, partitions)
  const image = await open(path, 'wx', parts.isPrivate ? 0o600 : 0o666)
  try {
    await image.truncate(layout.sectors * SECTOR)
    await writeAt(image, encodeProtectiveMbr(layout.sectors, bootCode), 0)
    await writeAt(image, primary, SECTOR)
    await writeAt(image, backup, (layout.sectors - BACKUP_SECTORS) * SECTOR)
    for (const { payload, first } of layout.partitions) {
      if (payload === 'biosBoot') {
        await writeAt(image, patchCoreImage(await readFile(payloads.biosBoot.path), core), first * SECTOR)
      } else if (payload) {
        await copySparse(payloads[payload].path, image, first * SECTOR, onBytes)
      }
    }
  } finally {
    await image.close()
  }
}
