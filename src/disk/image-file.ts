/**
 * A user's image file, opened for reading its headers.
 */
import { KeyvisorError } from '../base/errors.js'
import { errorWords } from '../base/file-errors.js'
import type { Bytes } from '../base/units.js'
import { openUserFile } from '../base/user-file.js'
import { fileReader } from './file-reader.js'
import { examineImage, type Image, type ImageFormat } from './image.js'

/**
 * As {@link examineImage}, of a file that may be a copy of the one that the user knows as `name`. Throws as
 * {@link openUserFile}, too.
 */
export async function examineImageFile(path: string, format: ImageFormat, name: string): Promise<Image> {
  const file = await openUserFile(path)
  try {
    const { size } = await file.stat()
    return await examineImage({ size, read: fileReader(file) }, format, name)
  } finally {
    await file.close()
  }
}

/**
 * Virtual size of the disk in an image, from its headers alone. Throws `file-missing` when it cannot be read, and what
 * `examineImage` of disk/image.ts throws.
 */
export async function imageVirtualSize(path: string, format: ImageFormat): Promise<Bytes> {
  return (await examineUserImage(path, format, path)).virtualSize
}

/** The same for an image that a user names: throws `file-missing` when it cannot be read. */
export async function examineUserImage(path: string, format: ImageFormat, name: string): Promise<Image> {
  return examineImageFile(path, format, name).catch((cause) => {
    if (cause instanceof KeyvisorError) throw cause
    const hint = 'correct the path, or make the file readable'
    throw new KeyvisorError('file-missing', `the image ${name} cannot be read: ${errorWords(cause)}`, {
      hint,
      cause,
    })
  })
}
