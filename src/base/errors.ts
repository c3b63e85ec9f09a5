/**
 * Errors: one class for what a user can mend, and the exit codes.
 *
 * Anything else that is thrown is our own bug (exit code 70). Messages that can only be our bug say `BUG:`.
 */

/** Exit codes of the command line; `bug` is EX_SOFTWARE of sysexits.h. */
export const EXIT = { done: 0, failed: 1, usage: 2, bug: 70, interrupted: 130 } as const

/** Where in a file something was found; both counted from 1. */
export interface Position {
  line: number
  column: number
}

/** One thing that is wrong with a user's input. */
export interface Problem {
  /** Stable name of the rule that was broken, such as `unknown-key`. */
  code: string
  severity: 'error' | 'warning'
  /** File as the user named it. */
  file: string
  position?: Position
  /** Place in the profile in the user's words, such as `guests[0].memory.min`. */
  path: string
  /** Lower case; the thing, its value, the limit. */
  message: string
  /** One imperative sentence that mends it. */
  hint?: string
}

export interface ErrorOptions {
  /** One imperative sentence that mends it. */
  hint?: string
  cause?: unknown
  exitCode?: number
  problems?: Problem[]
}

/** What a user can mend. Shown without a stack, as message and hint. */
export class KeyvisorError extends Error {
  /** Stable name of the failure, such as `no-space`. */
  readonly code: string
  readonly hint: string | undefined
  readonly exitCode: number
  /** All problems of an invalid profile; empty for other failures. */
  readonly problems: Problem[]

  constructor(code: string, message: string, options: ErrorOptions = {}) {
    super(message, options.cause === undefined ? {} : { cause: options.cause })
    this.name = 'KeyvisorError'
    this.code = code
    this.hint = options.hint
    this.exitCode = options.exitCode ?? EXIT.failed
    this.problems = options.problems ?? []
  }
}

/** Thrown when the user, or a signal, ended the work. */
export class Interrupted extends KeyvisorError {
  constructor() {
    super('interrupted', 'interrupted', { exitCode: EXIT.interrupted })
  }
}
