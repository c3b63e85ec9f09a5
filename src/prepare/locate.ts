/**
 * Place: what a build finds wrong with the profile, late, gets the line and column where it stands.
 */
import { KeyvisorError, type Problem } from '../base/errors.js'
import type { ProfilePath } from '../yaml/problems.js'
import { readSource } from '../yaml/source.js'

/** The error itself, or one whose problems say where in `profile` they are. */
export async function placed(error: unknown, profile: string): Promise<unknown> {
  if (!(error instanceof KeyvisorError) || error.problems.every(({ position }) => position)) return error
  const { source } = await readSource(profile)
  const problems = error.problems.map((problem): Problem => {
    const position = problem.position ?? source?.positionOf(parsePath(problem.path))
    return { ...problem, file: profile, ...(position && { position }) }
  })
  const { code, message, hint, exitCode, cause } = error
  return new KeyvisorError(code, message, { ...(hint && { hint }), exitCode, cause, problems })
}

/** `host.files[0].target` as keys and indexes. */
function parsePath(path: string): ProfilePath {
  return [...path.matchAll(/([\w-]+)|\[(\d+)\]/g)].map(([text, key]) => key ?? Number(text.slice(1, -1)))
}
