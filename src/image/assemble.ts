/**
 * Assembly: payloads go to their places in one sparse image, which appears under its name when it is whole.
 */
import { open, readFile } from 'node:fs/promises'
import { type Bytes, SECTOR } from '../base/units.js'
import { writeGptDisk } from '../disk/gpt-disk.js'
import { patchBootImage, patchCoreImage } from '../disk/grub.js'
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
  const { diskGuid, sectors, partitions } = layout
  const core = biosBootFirst(stick)
  // Without code a BIOS goes on to the next disk.
  const isForBios = stick.firmware.includes('bios')
  const bootCode = isForBios ? patchBootImage(await readFile(parts.bootImage), core) : undefined
  const image = await open(path, 'wx', parts.isPrivate ? 0o600 : 0o666)
  try {
    await writeGptDisk(image, { guid: diskGuid, sectors, partitions, bootCode })
    for (const { payload, first } of partitions) {
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
