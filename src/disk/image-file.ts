/**
 * A user's image file, opened for reading its headers.
 */
import { openUserFile } from '../base/user-file.js'
import { examineImage, type Image } from './image.js'
import type { ImageBytes } from './image-format.js'

/**
 * As {@link examineImage}, of a file that may be a copy of the one that the user knows as `name`. Throws as
 * {@link openUserFile}, too.
 */
export async function examineImageFile(path: string, format: 'qcow2' | 'raw', name: string): Promise<Image> {
  const file = await openUserFile(path)
  try {
    const { size } = await file.stat()
    const read: ImageBytes['read'] = async (offset, length) => {
      const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, offset)
      return buffer.subarray(0, bytesRead)
    }
    return await examineImage({ size, read }, format, name)
  } finally {
    await file.close()
  }
}
