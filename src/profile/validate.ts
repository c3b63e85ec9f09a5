/**
 * Validate: everything that is wrong with a profile, at once: syntax, schema, rules across fields, named files.
 *
 * Rules run on whatever parts the schema allows, so that one mistake does not hide another.
 */
import { dirname } from 'node:path'
import type { Problem } from '../base/errors.js'
import { type Finding, type PositionOf, type ProfilePath, sortProblems, toProblem } from '../yaml/problems.js'
import type { Profile } from '../yaml/profile.gen.js'
import { checkSchema } from '../yaml/schema.js'
import type { Sound } from '../yaml/sound.js'
import { readSource } from '../yaml/source.js'
import { checkFiles } from './files.js'
import { checkRules } from './rules.js'

/** A profile that has no errors, and the place in its file of each value. */
export interface LoadedProfile {
  /** As the user named it. Files that the profile names are relative to its folder. */
  file: string
  profile: Profile
  positionOf: PositionOf
}

export interface ValidateOptions {
  /** Also look at the files that the profile names. */
  files: boolean
}

/**
 * All problems of a profile, in the order of the file. `loaded` is there when none of them is an error. Never throws
 * for what a user can mend.
 */
export async function validateProfile(
  file: string,
  options: ValidateOptions,
): Promise<{ loaded?: LoadedProfile; problems: Problem[] }> {
  const { source, findings } = await readSource(file)
  const problems = findings.map((finding) => toProblem(finding, file, finding.position))
  if (!source) return { problems: sortProblems(problems) }
  const { value, positionOf } = source
  const checked = await checkValue(value, options.files ? dirname(file) : undefined)
  problems.push(...checked.map((finding) => toProblem(finding, file, positionOf(finding.path, finding.at))))
  if (problems.some(({ severity }) => severity === 'error')) return { problems: sortProblems(problems) }
  return { loaded: { file, profile: value as Profile, positionOf }, problems: sortProblems(problems) }
}

/** Schema, rules and, where a folder is given, the files that are named relative to it. */
async function checkValue(value: unknown, folder: string | undefined): Promise<Finding[]> {
  const findings = checkSchema(value)
  if (findings.some(({ path, code }) => path.length === 0 && code === 'wrong-type')) return findings
  const sound = prune(value, findings)
  const named = folder === undefined ? [] : await checkFiles(sound, folder)
  return [...findings, ...checkRules(sound), ...named]
}

/**
 * A copy in which each value that the schema refuses is undefined. Its key or index stays, so that a rule can tell
 * what is refused from what is not there, and paths still fit.
 */
function prune(value: unknown, findings: Finding[]): Sound<Profile> {
  const copy = structuredClone(value)
  for (const { path } of findings) removeAt(copy, path)
  return copy as Sound<Profile>
}

function removeAt(root: unknown, path: ProfilePath): void {
  let at = root as Record<string | number, unknown> | undefined
  for (const step of path.slice(0, -1)) at = at?.[step] as typeof at
  const last = path.at(-1)
  if (at && last !== undefined && Object.hasOwn(at, last)) at[last] = undefined
}
