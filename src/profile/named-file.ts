/**
 * A file that a profile names: whether it is there, and can be read.
 */
import { open, readdir, stat } from 'node:fs/promises'
import { basename, dirname } from 'node:path'
import { errorHint, errorWords } from '../base/file-errors.js'
import type { Finding } from '../yaml/problems.js'
import { closest } from '../yaml/wording.js'

/** What is wrong with a file, before it is known where the profile names it. */
export type Found = Omit<Finding, 'path'> | undefined

export async function regularFile(file: string): Promise<Found> {
  try {
    if (!(await stat(file)).isFile()) return { code: 'not-a-file', message: `${file} is not a regular file` }
    await (await open(file)).close()
    return undefined
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code !== 'ENOENT' && code !== 'ENOTDIR') {
      const message = `${file} cannot be read: ${errorWords(error)}`
      return { code: 'not-a-file', message, hint: errorHint(error) }
    }
    const hint = await neighbour(file)
    return { code: 'no-file', message: `there is no file ${file}`, hint }
  }
}

/** A name in the same folder that was probably meant. */
async function neighbour(file: string): Promise<string | undefined> {
  const names = await readdir(dirname(file)).catch(() => [])
  const meant = closest(basename(file), names)
  return meant && `did you mean ${meant}?`
}
