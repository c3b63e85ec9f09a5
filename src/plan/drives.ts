/**
 * Drives: what each of a guest's is.
 *
 * Left out: what the first is put on (`sources/`), and whether the files that they begin with will do (`profile/images.ts`).
 */
import { KeyvisorError } from '../base/errors.js'
import { type Bytes, formatBytes } from '../base/units.js'
import type { Drive } from '../guest/definition.js'
import type { NumberedDrive } from '../guest/drives.js'
import { MOST_DEVICES } from '../guest/hypervisors.js'
import { type OtherDisk, type OtherDrive, otherFiles, writtenDrives } from '../sources/drives.js'
import { FIRST, importStage, virtualSize } from '../sources/image/file.js'
import type { Given, StageName } from '../sources/source.js'
import type { Guest } from '../yaml/profile.gen.js'
import { sizeBytes } from '../yaml/size.js'
import { guestSerial } from './identity.js'

interface Base {
  stage: StageName
  /** Virtual size; 0 for a CD. */
  size: Bytes
}

/**
 * The drives of a guest.
 *
 * @param first what the first disk is put on
 */
export function planDrives(
  profile: string,
  guest: Guest,
  first: Base,
  { virtualSizes }: Pick<Given, 'virtualSizes'>,
): Drive<StageName>[] {
  const others = otherFiles(guest).map((file): [string, Base] => {
    const stage = importStage(guest.name, file.drive)
    return [file.drive, { stage, size: virtualSize(file, virtualSizes) }]
  })
  const bases = new Map([[FIRST, first], ...others])
  const drives = writtenDrives(guest)
  checkCount(guest, drives)
  return drives.map(({ drive, isCdrom, index, name }): Drive<StageName> => {
    const base = bases.get(name)
    if (base && isCdrom) return { kind: 'cdrom', base: base.stage }
    const own = isCdrom ? undefined : (drive as OtherDisk | undefined)
    const serial = own?.serial ?? guestSerial(profile, guest.name, `disk-${index}`)
    const given = drive === undefined ? guest.disk : own?.size
    if (!base) return { kind: 'empty', size: sizeBytes(given as string), serial }
    return {
      kind: 'overlay',
      base: base.stage,
      size: sizeOn(base, given, `${name === FIRST ? 'the disk' : name} of guest ${guest.name}`),
      serial,
    }
  })
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

function checkCount(guest: Guest, drives: readonly NumberedDrive<OtherDrive | undefined>[]): void {
  const cdroms = drives.filter(({ isCdrom }) => isCdrom).length
  const disks = drives.length - cdroms
  if (disks <= MOST_DEVICES.disks && cdroms <= MOST_DEVICES.cdroms) return
  throw new Error(`BUG: guest ${guest.name} has ${disks} disks and ${cdroms} CDs`)
}
