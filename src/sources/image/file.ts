/**
 * Images and ISOs of the user's that drives begin with: what a lock and the stages call them, and what is planned of one.
 *
 * Left out: how one is taken (`disk.ts`).
 */
import { resolve } from 'node:path/posix'
import { lookUp } from '../../base/lookup.js'
import type { Bytes } from '../../base/units.js'
import type { ImageFormat } from '../../disk/image.js'
import type { Given, ImagePath, StageName } from '../source.js'

/** A guest's first disk, as its drives are numbered. */
export const FIRST = 'disk0'

export interface DriveFile extends ImagePath {
  /** As a lock knows it: `guest.NAME/disk1`. */
  name: string
  /** Of the drive: `disk1`. */
  drive: string
}

export interface PlannedImage {
  kind: 'image'
  path: string
  format: ImageFormat
  sha256: string
  size: Bytes
}

/** Formats that a file's name may end in. Not `raw`, which no header tells: nobody shall get a disk of another format's bytes. */
const ENDINGS = ['vmdk', 'vhdx', 'vhd', 'vdi', 'qcow2'] as const

/** The format of a file that a profile names, where it says none: what the name ends in, else qcow2. Its header must agree. */
export function formatOf(path: string, format: ImageFormat | undefined): ImageFormat {
  const ending = path.split('.').at(-1)?.toLowerCase()
  return format ?? ENDINGS.find((name) => name === ending) ?? 'qcow2'
}

export function driveFile(guest: string, drive: string, file: ImagePath): DriveFile {
  return { name: `guest.${guest}/${drive}`, drive, ...file }
}

/** The stage that takes the file of a drive. */
export function importStage(guest: string, drive: string): StageName {
  return drive === FIRST ? `import.${guest}` : `import.${guest}.${drive}`
}

export function planImage(
  { name, path, format }: DriveFile,
  { pins, folder }: Pick<Given, 'pins' | 'folder'>,
): PlannedImage {
  const pinned = lookUp(pins.files, name)
  if (!pinned) throw new Error(`BUG: the lock has no file ${name}`)
  const { sha256, size } = pinned
  return { kind: 'image', path: resolve(folder, path), format, sha256, size }
}

/** Of the disk that a guest sees; 0 for a CD. */
export function virtualSize({ name, format }: DriveFile, sizes: Given['virtualSizes']): Bytes {
  const size = format === 'iso' ? 0 : lookUp(sizes, name)
  if (size === undefined) throw new Error(`BUG: the size of ${name} was not read`)
  return size
}
