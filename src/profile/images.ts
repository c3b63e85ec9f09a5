/**
 * Images: whether a build will take each image that a profile names, and what their sizes come to.
 *
 * The gate is that of the build (disk/image.ts). It reads headers alone, so that a large image takes no longer. Left out:
 * what only a whole look into an image tells.
 */

import { resolve } from 'node:path'
import { CODES, type Code } from '../base/codes.js'
import { KeyvisorError } from '../base/errors.js'
import { errorHint, errorWords } from '../base/file-errors.js'
import { type Bytes, formatBytes } from '../base/units.js'
import type { Image, ImageFormat } from '../disk/image.js'
import { examineImageFile, imageVirtualSize } from '../disk/image-file.js'
import { driveFiles, driveImage, drivesOf } from '../sources/drives.js'
import type { DriveFile } from '../sources/image/file.js'
import { refuseInUse } from '../sources/image/in-use.js'
import type { WrittenImage } from '../sources/source.js'
import { sourceParts } from '../sources/sources.js'
import { leastLibrary } from '../stick/limits.js'
import type { Finding, ProfilePath } from '../yaml/problems.js'
import type { Guest, Profile } from '../yaml/profile.gen.js'
import type { Placed, Sound } from '../yaml/sound.js'
import { type Found, regularFile } from './named-file.js'
import { stickBytes, stickFinding } from './rules/stick.js'
import { bytesOf, guestsOf } from './rules/valid-parts.js'

interface NamedImage extends WrittenImage {
  /** The size that the profile has for its disk, and where. */
  size?: Placed<string | undefined>
}

export async function checkImages(profile: Sound<Profile>, folder: string): Promise<Finding[]> {
  const room = stickBytes(profile.stick, 'minimumSize')
  const named = guestsOf(profile).flatMap((guest) => [...sourceImage(guest), ...driveImages(guest)])
  const examined = await Promise.all(named.map((image) => checkImage(image, folder, room)))
  const taken = examined.flatMap(({ image }) => (image ? [image] : []))
  return [...examined.flatMap(({ findings }) => findings), ...librarySize(profile, taken)]
}

function sourceImage(guest: Placed<Sound<Guest>>): NamedImage[] {
  const { value, path } = guest
  const { image } = sourceParts(guest)
  return image ? [sized(image, value, 'disk', path)] : []
}

function driveImages(guest: Placed<Sound<Guest>>): NamedImage[] {
  return drivesOf(guest).flatMap(({ value, path }) => {
    const image = driveImage(value, path)
    return image ? [sized(image, value, 'size', path)] : []
  })
}

/** With the size that `owner` has for the disk, if it has one. */
function sized<Key extends string>(
  image: WrittenImage,
  owner: { [key in Key]?: string | undefined },
  key: Key,
  path: ProfilePath,
): NamedImage {
  return key in owner ? { ...image, size: { value: owner[key], path: [...path, key] } } : image
}

/** What is wrong with an image; what it is, where a build takes it. */
async function checkImage(
  { file: name, path, format, size }: NamedImage,
  folder: string,
  room: Bytes | undefined,
): Promise<{ findings: Finding[]; image?: Image }> {
  if (name === undefined) return { findings: [] }
  const file = resolve(folder, name)
  const unreadable = await regularFile(file)
  if (unreadable) return { findings: [{ ...unreadable, path }] }
  if (format === undefined) return { findings: [] }
  const image = await examine(file, format)
  if ('code' in image) return { findings: [{ ...image, path }] }
  if (format === 'iso') return { findings: [], image }
  const { virtualSize } = image
  const found = size ? belowBase(size.value, virtualSize) : tooLarge(file, virtualSize, room)
  return { findings: found ? [{ ...found, path: size?.path ?? path }] : [], image }
}

async function examine(file: string, format: ImageFormat): Promise<Image | NonNullable<Found>> {
  try {
    await refuseInUse(file)
    return await examineImageFile(file, format, file)
  } catch (error) {
    if (error instanceof KeyvisorError && Object.hasOwn(CODES, error.code)) {
      return { code: error.code as Code, message: error.message, hint: error.hint }
    }
    const { code } = error as NodeJS.ErrnoException
    if (code === undefined) throw error
    const message = `${file} cannot be read: ${errorWords(error)}`
    return { code: 'not-a-file', message, hint: errorHint(error) }
  }
}

/** Smaller than the base would cut its file system off. */
function belowBase(disk: string | undefined, base: Bytes): Found {
  if (disk === undefined || bytesOf(disk) >= base) return undefined
  const message = `${disk} is less than the base image has (${formatBytes(base)}, ${base} bytes)`
  return { code: 'disk-smaller-than-base', message, hint: 'make it larger, or leave it out' }
}

function tooLarge(file: string, size: Bytes, room: Bytes | undefined): Found {
  if (room === undefined || size <= room) return undefined
  const message = `the disk in ${file} can grow to ${formatBytes(size)}; the smallest stick has ${formatBytes(room)}`
  const hint = 'a guest that fills it fills the stick: make stick.minimumSize larger, or the disk smaller'
  return { code: 'image-larger-than-stick', message, hint }
}

/**
 * A qcow2 image and an ISO go into the library as they are, once for all guests that have them. What a raw or a dirty one comes to is
 * known when it is packed. Of files of one size only one is counted: they may be the same.
 */
function librarySize(profile: Sound<Profile>, images: Image[]): Finding[] {
  const asTheyAre = images.filter(({ format, qcow2 }) => format === 'iso' || (qcow2 && !qcow2.dirty))
  const files = [...new Set(asTheyAre.map(({ fileSize }) => fileSize))]
  const content = files.reduce((sum, size) => sum + size, 0)
  const { stick } = profile
  if (stick?.library === undefined) {
    const isRefused = stick && 'library' in stick
    // Without images that is a rule's to say.
    const finding = isRefused || content === 0 ? undefined : stickFinding(profile, leastLibrary(files))
    return finding && !stickFinding(profile, 0) ? [finding] : []
  }
  if (content <= bytesOf(stick.library)) return []
  const message = `the guests' images have ${formatBytes(content)}, the library has ${stick.library}`
  const hint = 'raise stick.library, or leave it out'
  return [{ code: 'library-too-large', path: ['stick', 'library'], message, hint }]
}

/** The files of the guests' drives, by the name that a lock has for each. */
export function imageFiles(profile: Profile, folder: string): Pick<DriveFile, 'name' | 'path' | 'format'>[] {
  return (profile.guests ?? []).flatMap(driveFiles).map(({ name, path, format }) => {
    return { name, path: resolve(folder, path), format }
  })
}

/** Virtual size of each disk image, by the same name. Throws as `imageVirtualSize` of disk/image-file.ts. */
export async function imageSizes(profile: Profile, folder: string): Promise<Record<string, Bytes>> {
  const sizes: Record<string, Bytes> = Object.create(null)
  for (const { name, path, format } of imageFiles(profile, folder)) {
    if (format !== 'iso') sizes[name] = await imageVirtualSize(path, format)
  }
  return sizes
}
