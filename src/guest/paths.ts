/**
 * Where the files of a guest are on the stick.
 *
 * Free of `node:` imports: the stick runs this file under qjs.
 */
import type { Drive, LibraryFile, LibraryGuest } from './definition.js'
import { type NumberedDrive, numberDrives } from './drives.js'

/** Where the files of a guest are on the stick. */
export interface DomainPaths {
  /** Folder of the disks, on the data partition. */
  folder: string
  /** Of each drive; those of CDs are in the library. */
  drives: string[]
  /** UEFI variables. libvirt makes the file from its template, and its AppArmor profile, when the guest starts. */
  nvram: string
  /** What the guest writes to its first serial port. virtlogd writes it, begins anew at each start, caps its size. */
  console: string
  /** Folders that it shares with the stick. */
  shares: string[]
}

/** Where the library is mounted on the stick. */
export const LIBRARY = '/run/keyvisor/library'

export function domainPaths(guest: LibraryGuest): DomainPaths {
  const folder = `/data/guests/${guest.name}`
  return {
    folder,
    drives: numberDrives(guest.drives, ({ kind }) => kind === 'cdrom').map((item) => drivePath(item, folder)),
    nvram: `/var/lib/libvirt/qemu/nvram/${guest.name}_VARS.fd`,
    console: `/var/log/keyvisor/${guest.name}.console.log`,
    shares: guest.shares.map((share) => `/data/shares/${share.name}`),
  }
}

function drivePath({ drive, index }: NumberedDrive<Drive<LibraryFile>>, folder: string): string {
  if (drive.kind === 'cdrom') return `${LIBRARY}/${drive.base.file}`
  return index === 0 ? `${folder}/disk.qcow2` : `${folder}/disk-${index}.qcow2`
}
