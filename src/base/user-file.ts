/**
 * Files that a user names: opened without waiting, and only what is one.
 *
 * open(2) of a FIFO waits for its other end, deaf to everything; a device may have no end. So all of them are opened
 * here. Left out: which error a caller makes of a file that is missing.
 */
import { constants, type Stats } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { KeyvisorError } from './errors.js'
import { onFile } from './file-errors.js'
import { type Bytes, formatBytes, MiB } from './units.js'

/** More than any text that a person keeps; who names a disk's image by mistake should hear of it. */
const MOST_TEXT: Bytes = 64 * MiB

/**
 * Opens a file for reading. Throws KeyvisorError `not-a-file` for what is no regular file, and the errors of open(2).
 *
 * @param disks a block device is fine, too
 */
export async function openUserFile(path: string, disks = false): Promise<FileHandle> {
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY).catch(
    (cause) => {
      throw cause.code === 'ENXIO' ? notAFile(path, 'a socket or a device that is not there') : cause
    },
  )
  try {
    const found = await file.stat()
    if (found.isFile() || (disks && found.isBlockDevice())) return file
    throw notAFile(path, kindOf(found))
  } catch (error) {
    await file.close()
    throw error
  }
}

/** Reads a whole file of moderate size. Throws as {@link openUserFile}, and `file-too-large`. */
export async function readUserFile(path: string): Promise<Buffer> {
  const file = await openUserFile(path)
  try {
    const { size } = await file.stat()
    if (size <= MOST_TEXT) return await onFile(path, () => file.readFile())
    const message = `${path} has ${formatBytes(size)}, more than the ${formatBytes(MOST_TEXT)} that can be read`
    throw new KeyvisorError('file-too-large', message, {
      hint: 'look whether this is the file that you meant',
    })
  } finally {
    await file.close()
  }
}

/** As {@link readUserFile}, as UTF-8. */
export async function readUserText(path: string): Promise<string> {
  return (await readUserFile(path)).toString('utf8')
}

function kindOf(found: Stats): string {
  if (found.isDirectory()) return 'a folder'
  if (found.isFIFO()) return 'a pipe'
  return found.isBlockDevice() ? 'a disk' : 'a device'
}

function notAFile(path: string, kind: string): KeyvisorError {
  return new KeyvisorError('not-a-file', `${path} is ${kind}, not a regular file`, {
    hint: kind === 'a pipe' ? 'save what comes through it in a file first' : 'name a regular file',
  })
}
