/**
 * Laying: the user's files as `lay.sh` takes them, and what a root refuses of a profile.
 */
import { copyFile, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { EXIT, KeyvisorError, type Problem } from '../base/errors.js'
import { packageFile } from '../base/package.js'
import { writeFile } from '../base/write-file.js'
import { plannedEntries, writeTar } from './files.js'
import type { PlannedFile } from './types.js'

/** Writes into `scratch` what `lay.sh` reads. `place` is that of the list in the profile, such as `host.files`. */
export async function writeLaying(
  files: readonly PlannedFile[],
  place: string,
  epoch: number,
  scratch: string,
): Promise<void> {
  const lines = files.map(({ target, owner }, index) =>
    [`${place}[${index}]`, target, ...owner.split(':')].join('\t'),
  )
  await writeTar(plannedEntries(files), epoch, join(scratch, 'files.tar'))
  await writeFile(join(scratch, 'files'), lines.map((line) => `${line}\n`).join(''))
  await writeFile(join(scratch, 'refused'), '')
  await copyFile(packageFile('src/debian/lay.sh'), join(scratch, 'lay.sh'))
}

/**
 * What ended a script: `invalid-profile` where it refused something, otherwise `error` itself. The problems have a path
 * into the profile, and no file and line yet.
 */
export async function refusalOr(error: unknown, scratch: string): Promise<unknown> {
  const problems = parseRefused(await readFile(join(scratch, 'refused'), 'utf8'))
  if (problems.length === 0) return error
  const message = 'the profile does not fit what its packages made'
  return new KeyvisorError('invalid-profile', message, { exitCode: EXIT.usage, problems, cause: error })
}

/** Lines of a place in the profile, a message and a code, parted by tabs. */
function parseRefused(text: string): Problem[] {
  const lines = text.split('\n').filter((line) => line !== '')
  return lines.map((line) => {
    const [path = '', message = '', code = ''] = line.split('\t')
    return { code, severity: 'error', file: '', path, message }
  })
}
