/**
 * The drives of a guest as its profile has them, and the files that they begin with.
 */
import type { ImageFormat } from '../disk/image.js'
import { type NumberedDrive, numberDrives } from '../guest/drives.js'
import { DEFAULTS, type Guest } from '../yaml/profile.gen.js'

export type { ImageFormat } from '../disk/image.js'

/** The guest's source is its first drive. */
export type WrittenDrive = Guest['source'] | NonNullable<Guest['disks']>[number]

export interface DriveFile {
  /** As a lock knows it: `guest.NAME/disk1`. */
  name: string
  /** Of the drive: `disk1`. */
  drive: string
  /** As the profile has it. */
  path: string
  format: ImageFormat
}

export function writtenDrives(guest: Guest): NumberedDrive<WrittenDrive>[] {
  return numberDrives<WrittenDrive>([guest.source, ...(guest.disks ?? [])], (drive) => 'iso' in drive)
}

/** The files of a guest, in the order of its drives. */
export function driveFiles(guest: Guest): DriveFile[] {
  return writtenDrives(guest).flatMap(({ drive, name }) => {
    const file = fileOf(drive)
    return file ? [{ name: `guest.${guest.name}/${name}`, drive: name, ...file }] : []
  })
}

function fileOf(drive: WrittenDrive): Pick<DriveFile, 'path' | 'format'> | undefined {
  if ('iso' in drive) return { path: drive.iso, format: 'iso' }
  if ('image' in drive) return { path: drive.image, format: drive.format ?? DEFAULTS.imageDisk.format }
  return undefined
}
