/**
 * The drives of a guest as its profile has them, and the files that they begin with.
 *
 * The first is the guest's source, of one of the kinds of `sources.ts`. The others are empty disks, images, or CDs.
 */
import { type NumberedDrive, numberDrives } from '../guest/drives.js'
import type { ProfilePath } from '../yaml/problems.js'
import type { EmptyDisk, Guest, ImageDisk, IsoDrive } from '../yaml/profile.gen.js'
import { entries, type Placed, type Sound } from '../yaml/sound.js'
import { type DriveFile, driveFile, FIRST, formatOf } from './image/file.js'
import type { ImagePath, WrittenImage } from './source.js'
import { sourceOutside } from './sources.js'

export type OtherDisk = EmptyDisk | ImageDisk
export type OtherDrive = OtherDisk | IsoDrive

/** Undefined for the first disk. */
export function writtenDrives({ disks = [] }: Guest): NumberedDrive<OtherDrive | undefined>[] {
  return numberDrives([undefined, ...disks], (drive) => drive !== undefined && isCdrom(drive))
}

export function isCdrom(drive: object): drive is IsoDrive {
  return 'iso' in drive
}

/** The files of a guest, in the order of its drives. */
export function driveFiles(guest: Guest): DriveFile[] {
  return writtenDrives(guest).flatMap(({ drive, name }) => {
    const file = drive ? fileOf(drive) : sourceOutside(guest).file
    return file ? [driveFile(guest.name, name, file)] : []
  })
}

/** The same without that of its source. */
export function otherFiles(guest: Guest): DriveFile[] {
  return driveFiles(guest).filter(({ drive }) => drive !== FIRST)
}

function fileOf(drive: OtherDrive): ImagePath | undefined {
  if (isCdrom(drive)) return { path: drive.iso, format: 'iso' }
  if ('image' in drive) return { path: drive.image, format: formatOf(drive.image, drive.format) }
  return undefined
}

// ------------------------------------------------------------------------------------------ for rules

/** What a drive beside the first disk can say, whatever it is. */
export interface DriveParts {
  size?: string | undefined
  serial?: string | undefined
  image?: string | undefined
  format?: ImageDisk['format'] | undefined
  iso?: string | undefined
}

/** The drives of a guest beside its first disk. */
export function drivesOf({ value, path }: Placed<Sound<Guest>>): Placed<DriveParts>[] {
  return entries<DriveParts>(value.disks, [...path, 'disks'])
}

/** What a drive begins with, where it is a file. */
export function driveImage(drive: DriveParts, path: ProfilePath): WrittenImage | undefined {
  if ('iso' in drive) return { file: drive.iso, format: 'iso', path: [...path, 'iso'] }
  if (!('image' in drive)) return undefined
  const { image: file } = drive
  const isUnknown = file === undefined || ('format' in drive && drive.format === undefined)
  const format = isUnknown ? drive.format : formatOf(file, drive.format)
  return { file, format, path: [...path, 'image'] }
}
