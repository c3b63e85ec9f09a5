/**
 * A user's image file, opened for reading its headers.
 */
import { dirname, join } from 'node:path'
import { KeyvisorError } from '../base/errors.js'
import { errorWords } from '../base/file-errors.js'
import { type Bytes, SECTOR } from '../base/units.js'
import { openUserFile } from '../base/user-file.js'
import { fileReader } from './file-reader.js'
import { examineImage, type Image, type ImageFormat, limited } from './image.js'
import { damagedImage } from './image-errors.js'
import type { ImageBytes } from './image-format.js'
import { DESCRIPTION, examineExtent, MOST_DESCRIPTOR, type VmdkExtent, vmdkExtents } from './vmdk.js'

/**
 * As {@link examineImage}, of a file that may be a copy of the one that the user knows as `name`. Throws as
 * {@link openUserFile}, too.
 */
export async function examineImageFile(path: string, format: ImageFormat, name: string): Promise<Image> {
  const extents = await extentsOf(path, format, name)
  if (extents) return examineExtents(extents, path, name)
  return withFile(path, (file) => examineImage(file, format, name))
}

/**
 * The files of an image: its own, and those beside it that it is the description of (VMware's disks in parts). Throws as
 * {@link examineImageFile}.
 */
export async function imageFilesOf(path: string, format: ImageFormat, name: string): Promise<string[]> {
  const extents = (await extentsOf(path, format, name)) ?? []
  const beside = extents.flatMap(({ file }) => (file === null ? [] : [join(dirname(path), file)]))
  return [...new Set([path, ...beside])]
}

/** Undefined where the file is no description of others. */
async function extentsOf(path: string, format: ImageFormat, name: string): Promise<VmdkExtent[] | undefined> {
  if (format !== 'vmdk') return undefined
  const text = await withFile(path, ({ size, read }) => read(0, Math.min(size, MOST_DESCRIPTOR)))
  const isDescription = text.toString('latin1', 0, DESCRIPTION.length) === DESCRIPTION
  return isDescription ? vmdkExtents(text.toString('latin1'), name) : undefined
}

async function examineExtents(extents: readonly VmdkExtent[], path: string, name: string): Promise<Image> {
  let virtualSize = 0
  const sizes = new Map<string, Bytes>()
  for (const extent of extents) {
    const { file, sectors } = extent
    if (file === null) virtualSize += sectors * SECTOR
    else {
      const called = join(dirname(name), file)
      virtualSize += await withFile(join(dirname(path), file), (bytes) => {
        sizes.set(file, bytes.size)
        return examineExtent(extent, bytes, called)
      }).catch((error) => {
        throw extentError(error, name, called)
      })
    }
  }
  const fileSize = [...sizes.values()].reduce((sum, size) => sum + size, 0)
  return { format: 'vmdk', virtualSize: limited(virtualSize, 'vmdk', name), fileSize }
}

function extentError(error: NodeJS.ErrnoException, name: string, extent: string): unknown {
  if (error.code === 'truncated') return damagedImage(extent, 'VMDK', error.message)
  if (error instanceof KeyvisorError) return error
  const message = `${name} needs ${extent}, which cannot be read: ${errorWords(error)}`
  return new KeyvisorError('image-needs-file', message, {
    hint: 'put all files of the disk into one folder',
    cause: error,
  })
}

async function withFile<T>(path: string, work: (file: ImageBytes) => Promise<T>): Promise<T> {
  const file = await openUserFile(path)
  try {
    const { size } = await file.stat()
    return await work({ size, read: fileReader(file) })
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
