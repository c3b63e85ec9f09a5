/**
 * Load: a profile that can be planned, or one error that carries all its problems.
 */
import { EXIT, KeyvisorError } from '../base/errors.js'
import { type LoadedProfile, type ValidateOptions, validateProfile } from './validate.js'

export type { LoadedProfile } from './validate.js'

/**
 * Reads and validates a profile. Throws KeyvisorError `invalid-profile` with every problem, warnings included, and
 * exit code 2. Warnings alone do not throw: see validateProfile for those.
 */
export async function loadProfile(
  file: string,
  options: ValidateOptions = { files: true },
): Promise<LoadedProfile> {
  const { loaded, problems } = await validateProfile(file, options)
  if (loaded) return loaded
  const errors = problems.filter(({ severity }) => severity === 'error').length
  throw new KeyvisorError('invalid-profile', `${file} has ${errors} ${errors === 1 ? 'error' : 'errors'}`, {
    exitCode: EXIT.usage,
    problems,
  })
}
