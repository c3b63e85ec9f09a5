/**
 * Problems: how what was found in a profile is named, placed and printed.
 *
 * The checks of this room make {@link Finding}s, which know their place as a path into the profile; a Finding
 * becomes a `Problem` once the file says at which line and column that place is.
 */

import { CODES, type Code } from '../base/codes.js'
import type { Position, Problem } from '../base/errors.js'

/** A place in a profile, from its root: keys and indexes. */
export type ProfilePath = readonly (string | number)[]

export interface Finding {
  code: Code
  path: ProfilePath
  /** Lower case; the thing, its value, the limit. */
  message: string
  /** One imperative sentence that mends it. */
  hint?: string | undefined
  /** Whether the key is wrong or its value. Default: the value. */
  at?: 'key' | 'value'
  /** The key that an unknown one was probably meant as. */
  meant?: string | undefined
}

/** Finds the line and column of a place, or of the nearest place around it that is in the file. */
export type PositionOf = (path: ProfilePath, at?: 'key' | 'value') => Position

/** `guests[0].memory.min`; keys that are no plain words in quotes; empty for the root. */
export function formatPath(path: ProfilePath): string {
  return path
    .map((step) => {
      if (typeof step === 'number') return `[${step}]`
      return /^[\w-]+$/.test(step) ? `.${step}` : `[${JSON.stringify(step)}]`
    })
    .join('')
    .replace(/^\./, '')
}

export function toProblem(finding: Finding, file: string, position: Position | undefined): Problem {
  return {
    code: finding.code,
    severity: CODES[finding.code].severity,
    file,
    ...(position && { position }),
    path: formatPath(finding.path),
    message: finding.message,
    ...(finding.hint !== undefined && { hint: finding.hint }),
  }
}

/** In the order of the file, then by code and path, so that the same profile always gives the same list. */
export function sortProblems(problems: Problem[]): Problem[] {
  const line = ({ position }: Problem) => position?.line ?? 0
  const column = ({ position }: Problem) => position?.column ?? 0
  const words = ({ code, path }: Problem) => `${code} ${path}`
  return problems.toSorted(
    (a, b) => line(a) - line(b) || column(a) - column(b) || (words(a) < words(b) ? -1 : 1),
  )
}

/** `file:line:column: error code: path: message`, and the hint on a line of its own. */
export function formatProblem(problem: Problem): string {
  const { file, position, severity, code, path, message, hint } = problem
  const place = position ? `${file}:${position.line}:${position.column}` : file
  const text = `${place}: ${severity} ${code}: ${path ? `${path}: ` : ''}${message}`
  return hint === undefined ? text : `${text}\n  hint: ${hint}`
}
