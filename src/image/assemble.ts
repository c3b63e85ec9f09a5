/**
 * Assembly: payloads go to their places in one sparse image, which appears under its name when it is whole.
 */
import { type FileHandle, open, readFile } from 'node:fs/promises'
import type { ToolRunner } from '../base/tool.js'
import { type Bytes, SECTOR } from '../base/units.js'
import { writeGptDisk } from '../disk/gpt-disk.js'
import { patchBootImage, patchCoreImage } from '../disk/grub.js'
import { copyFileSparse, writeAt } from '../disk/sparse.js'
import type { StickPlan } from '../stick/definition.js'
import { biosBootFirst, type Layout } from '../stick/layout.js'
import type { PayloadName } from '../stick/partitions.js'
import { writeWhole } from '../store/whole-file.js'
import type { Workplace } from '../store/workplace.js'
import { type BaseOffsets, type KeptImage, openKept, rememberBases } from './kept.js'
import { checkBases, type LibraryParts, writeLibrary } from './library.js'

export interface AssemblyParts {
  layout: Layout
  stick: StickPlan
  /** boot.img of GRUB; the core image is the payload `biosBoot`. */
  bootImage: string
  /** Files that go to their places as they are. */
  payloads: Record<Exclude<PayloadName, 'library'>, string>
  library: LibraryParts
  /** Secrets are on it: only the builder's user may read it. */
  isPrivate: boolean
}

/**
 * Writes the image to `path`. `onBytes` hears of each payload byte passed; aborting, and a base that is not what it should
 * be, leave no file, and an older one as it was.
 */
export async function assembleImage(
  parts: AssemblyParts,
  path: string,
  onBytes: (bytes: Bytes) => void,
  { store, signal }: Pick<Workplace, 'store' | 'signal'>,
  tools: ToolRunner,
): Promise<void> {
  const kept = await openKept(path, store)
  try {
    await writeWhole(path, async (temporary) => {
      const passed = (bytes: Bytes) => {
        signal?.throwIfAborted()
        onBytes(bytes)
      }
      await writeParts(parts, temporary, kept, passed)
      await checkBases(parts.library, { path: temporary, at: libraryAt(parts) }, tools)
    })
  } finally {
    await kept?.file.close()
  }
  await rememberBases(path, baseOffsets(parts), store)
}

function libraryAt({ layout }: AssemblyParts): Bytes {
  const found = layout.partitions.find(({ payload }) => payload === 'library')
  if (!found) throw new Error('BUG: the layout has no library')
  return found.first * SECTOR
}

function baseOffsets(parts: AssemblyParts): BaseOffsets {
  const at = libraryAt(parts)
  return Object.fromEntries(parts.library.facts.files.map(({ sha256, offset }) => [sha256, at + offset]))
}

async function writeParts(
  parts: AssemblyParts,
  path: string,
  kept: KeptImage | undefined,
  onBytes: (bytes: Bytes) => void,
): Promise<void> {
  const image = await open(path, 'wx+', parts.isPrivate ? 0o600 : 0o666)
  try {
    await writeBoot(parts, image, onBytes)
    for (const { payload, first } of parts.layout.partitions) {
      const at = first * SECTOR
      if (!payload || payload === 'biosBoot') continue
      if (payload === 'library') await writeLibrary(parts.library, { path, file: image, at }, kept, onBytes)
      else await copyFileSparse(parts.payloads[payload], image, at, ({ length }) => onBytes(length))
    }
  } finally {
    await image.close()
  }
}

/** Partition tables, and what a BIOS starts. */
async function writeBoot(
  { layout, stick, bootImage, payloads }: AssemblyParts,
  image: FileHandle,
  onBytes: (bytes: Bytes) => void,
): Promise<void> {
  const { diskGuid, sectors, partitions } = layout
  const core = biosBootFirst(stick)
  // Without code a BIOS goes on to the next disk.
  const isForBios = stick.firmware.includes('bios')
  const bootCode = isForBios ? patchBootImage(await readFile(bootImage), core) : undefined
  await writeGptDisk(image, { guid: diskGuid, sectors, partitions, bootCode })
  const bytes = patchCoreImage(await readFile(payloads.biosBoot), core)
  await writeAt(image, bytes, core * SECTOR)
  onBytes(bytes.length)
}
