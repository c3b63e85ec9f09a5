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
import type { Image } from '../disk/image.js'
import { examineImageFile, imageVirtualSize } from '../disk/image-file.js'
import { leastLibrary } from '../stick/limits.js'
import type { Finding, ProfilePath } from '../yaml/problems.js'
import { type Found, regularFile } from './named-file.js'
import type { Guest, ImageSource, Profile } from './profile.gen.js'
import { stickBytes, stickFinding } from './rules/stick.js'
import { bytesOf, guestsOf, type Placed, type Sound } from './rules/valid-parts.js'

type ImageGuest = Placed<Sound<Guest>> & { source: Sound<ImageSource> }

export async function checkImages(profile: Sound<Profile>, folder: string): Promise<Finding[]> {
  const room = stickBytes(profile.stick, 'minimumSize')
  const examined = await Promise.all(imageGuests(profile).map((guest) => checkGuest(guest, folder, room)))
  const taken = examined.flatMap(({ image }) => (image ? [image] : []))
  return [...examined.flatMap(({ findings }) => findings), ...librarySize(profile, taken)]
}

function imageGuests(profile: Sound<Profile>): ImageGuest[] {
  return guestsOf(profile).flatMap((guest) => {
    const { source } = guest.value
    return source && 'image' in source ? [{ ...guest, source }] : []
  })
}

/** What is wrong with a guest's image; the image, where a build takes it. */
async function checkGuest(
  guest: ImageGuest,
  folder: string,
  room: Bytes | undefined,
): Promise<{ findings: Finding[]; image?: Image }> {
  const { source, value, path } = guest
  const place: ProfilePath = [...path, 'source', 'image']
  if (source.image === undefined) return { findings: [] }
  const file = resolve(folder, source.image)
  const unreadable = await regularFile(file)
  if (unreadable) return { findings: [{ ...unreadable, path: place }] }
  if (source.format === undefined) return { findings: [] }
  const image = await examine(file, source.format)
  if ('code' in image) return { findings: [{ ...image, path: place }] }
  const { virtualSize } = image
  const own = 'disk' in value
  const size = own ? belowBase(value.disk, virtualSize) : tooLarge(file, virtualSize, room)
  return { findings: size ? [{ ...size, path: own ? [...path, 'disk'] : place }] : [], image }
}

async function examine(file: string, format: ImageSource['format']): Promise<Image | NonNullable<Found>> {
  try {
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
 * A qcow2 image goes into the library as it is, once for all guests that have it. What a raw or a dirty one comes to is
 * known when it is packed. Of files of one size only one is counted: they may be the same.
 */
function librarySize(profile: Sound<Profile>, images: Image[]): Finding[] {
  const asTheyAre = images.filter(({ qcow2 }) => qcow2 && !qcow2.dirty)
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

/** Virtual size of each guest's image, by guest. Throws as `imageVirtualSize` of disk/image-file.ts. */
export async function imageSizes(profile: Profile, folder: string): Promise<Record<string, Bytes>> {
  const sizes: Record<string, Bytes> = Object.create(null)
  for (const { name, source } of profile.guests ?? []) {
    if ('image' in source) sizes[name] = await imageVirtualSize(resolve(folder, source.image), source.format)
  }
  return sizes
}
