/**
 * Load: a profile that can be planned, or one error that carries all its problems.
 */
import { EXIT, KeyvisorError, type Problem } from '../base/errors.js'
import { type LoadedProfile, type ValidateOptions, validateProfile } from './validate.js'

export type { LoadedProfile } from './validate.js'

/**
 * Reads and validates a profile. Throws KeyvisorError `invalid-profile` with every problem, warnings included, and
 * exit code 2. Warnings alone do not throw, and are in the answer.
 */
export async function loadProfile(
  file: string,
  options: ValidateOptions = { files: true },
): Promise<LoadedProfile & { warnings: Problem[] }> {
  const { loaded, problems } = await validateProfile(file, options)
  if (loaded) return { ...loaded, warnings: problems }
  const errors = problems.filter(({ severity }) => severity === 'error').length
  const count = errors === 1 ? 'a problem' : `${errors} problems`
  throw new KeyvisorError('invalid-profile', `${file} has ${count}`, { exitCode: EXIT.usage, problems })
}
