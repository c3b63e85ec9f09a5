/**
 * Whether a folder can be written, asked before the network is used or any work is done.
 */
import { access, constants } from 'node:fs/promises'
import { dirname } from 'node:path'
import { KeyvisorError } from './errors.js'
import { errorHint, errorWords } from './file-errors.js'

/** Rejects with the errors of access(2), where a folder is none or may not be written. */
export async function checkWritable(folder: string): Promise<void> {
  // The dot: a file is no folder, though it may be written.
  await access(`${folder}/.`, constants.W_OK | constants.X_OK)
}

/** The folder of the image: where there is none, the folder that it will be made in. Throws `out-unusable`. */
export async function checkOut(out: string): Promise<void> {
  for (let folder = out; ; folder = dirname(folder)) {
    const cause = await checkWritable(folder).then(
      () => undefined,
      (error: NodeJS.ErrnoException) => error,
    )
    if (!cause) return
    // It is made later, with all folders above it.
    if (cause.code !== 'ENOENT' || folder === dirname(folder)) throw unusable(out, folder, cause)
  }
}

function unusable(out: string, folder: string, cause: NodeJS.ErrnoException): KeyvisorError {
  const which = folder === out ? out : `${out} (below ${folder})`
  const message = `the folder ${which} cannot be written: ${errorWords(cause)}`
  return new KeyvisorError('out-unusable', message, {
    hint: `name a folder that you may write with --out; or ${errorHint(cause)}`,
    cause,
  })
}
