/**
 * Drives: what each of a guest's is.
 *
 * Left out: whether the files that they begin with will do (`profile/images.ts`).
 */
import { KeyvisorError } from '../base/errors.js'
import { lookUp } from '../base/lookup.js'
import { type Bytes, formatBytes } from '../base/units.js'
import type { Drive } from '../guest/definition.js'
import type { NumberedDrive } from '../guest/drives.js'
import { MOST_DEVICES } from '../guest/hypervisors.js'
import { driveFiles, type WrittenDrive, writtenDrives } from '../profile/drive-files.js'
import { DEFAULTS, type EmptyDisk, type Guest, type ImageDisk } from '../yaml/profile.gen.js'
import { importStage } from './bases.js'
import { guestSerial } from './identity.js'
import { sizeBytes } from './sizes.js'
import type { StageName } from './types.js'

type Disk = EmptyDisk | ImageDisk

const FIRST = 'disk0'

/**
 * The drives of a guest.
 *
 * @param sizes virtual size of each disk image, by the name that a lock has for it
 */
export function planDrives(
  profile: string,
  guest: Guest,
  sizes: Readonly<Record<string, Bytes>>,
): Drive<StageName>[] {
  const bases = basesOf(guest, sizes)
  const drives = writtenDrives(guest)
  checkCount(guest, drives)
  return drives.map(({ drive, isCdrom, index, name }): Drive<StageName> => {
    const base = bases.get(name)
    if (base && isCdrom) return { kind: 'cdrom', base: base.stage }
    const own = 'serial' in drive ? drive.serial : undefined
    const serial = own ?? guestSerial(profile, guest.name, `disk-${index}`)
    const given = name === FIRST ? guest.disk : (drive as Disk).size
    if (!base) return { kind: 'empty', size: sizeBytes(given as string), serial }
    return {
      kind: 'overlay',
      base: base.stage,
      size: sizeOn(base, given, `${name === FIRST ? 'the disk' : name} of guest ${guest.name}`),
      serial,
    }
  })
}

interface Base {
  stage: StageName
  /** Virtual size; 0 for a CD. */
  size: Bytes
}

/** By drive. */
function basesOf(guest: Guest, sizes: Readonly<Record<string, Bytes>>): Map<string, Base> {
  const files = driveFiles(guest).map(({ name, drive, format }): [string, Base] => {
    const size = format === 'iso' ? 0 : lookUp(sizes, name)
    if (size === undefined) throw new Error(`BUG: the size of ${name} was not read`)
    return [drive, { stage: importStage(guest.name, drive), size }]
  })
  if (!('debian' in guest.source)) return new Map(files)
  const { size } = { ...DEFAULTS.debianTree, ...guest.source.debian }
  return new Map([[FIRST, { stage: `disk.${guest.name}`, size: sizeBytes(size) }], ...files])
}

/** The size that the profile names, else the base's. Smaller than the base would cut its file system off. */
function sizeOn({ size: least }: Base, given: string | undefined, disk: string): Bytes {
  const size = given === undefined ? least : sizeBytes(given)
  if (size >= least) return size
  const sizes = `${formatBytes(size)}, its base image has ${formatBytes(least)}`
  throw new KeyvisorError('disk-smaller-than-base', `${disk} has ${sizes}`, {
    hint: `set its size to at least ${formatBytes(least)}, or leave it out`,
  })
}

function checkCount(guest: Guest, drives: readonly NumberedDrive<WrittenDrive>[]): void {
  const cdroms = drives.filter(({ isCdrom }) => isCdrom).length
  const disks = drives.length - cdroms
  if (disks <= MOST_DEVICES.disks && cdroms <= MOST_DEVICES.cdroms) return
  throw new Error(`BUG: guest ${guest.name} has ${disks} disks and ${cdroms} CDs`)
}
