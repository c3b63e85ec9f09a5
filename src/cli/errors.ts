/**
 * Errors on the screen: the one place that turns what was thrown into words and an exit code.
 */
import { CommanderError } from 'commander'
import { EXIT, fileError, formatProblem, Interrupted, KeyvisorError, type Problem } from '../index.js'
import { safe } from './safe.js'
import type { Terminal } from './terminal.js'

/** An error as `--json` tells it: one line of stdout. */
export interface ErrorReport {
  kind: 'error'
  code: string
  /** Lower case; what went wrong. */
  message: string
  /** One imperative that mends it, where there is one. */
  hint?: string
  /** All problems of an invalid profile, where that is what went wrong. */
  problems?: Problem[]
}

/** @param signal aborted when the user ended the work: whatever was thrown then follows from that */
export function exitCodeOf(thrown: unknown, signal: AbortSignal): number {
  if (signal.aborted) return EXIT.interrupted
  const error = inWords(thrown)
  if (error instanceof CommanderError) return EXIT.usage
  return error instanceof KeyvisorError ? error.exitCode : EXIT.bug
}

/** What a relative path comes to in a folder that somebody removed (getcwd(3)); undefined for another error. */
export function folderGone(error: unknown): KeyvisorError | undefined {
  if ((error as NodeJS.ErrnoException | undefined)?.syscall !== 'uv_cwd') return undefined
  return new KeyvisorError('no-folder', 'the current folder is gone', {
    hint: 'go to one that is there with cd, or give absolute paths',
    cause: error,
  })
}

export function showError(error: unknown, terminal: Terminal, json: boolean): void {
  const thrown = terminal.signal.aborted ? new Interrupted() : error
  if (json) terminal.out(JSON.stringify(errorReport(thrown)))
  else terminal.error(safe(errorText(thrown)))
}

/** Whatever a file system refused is no bug of ours, wherever it came up. */
function inWords(error: unknown): unknown {
  return fileError(error) ?? error
}

export function errorReport(thrown: unknown): ErrorReport {
  const error = inWords(thrown)
  if (error instanceof CommanderError) return { kind: 'error', code: 'usage', message: usageMessage(error) }
  if (!(error instanceof KeyvisorError)) return { kind: 'error', code: 'bug', message: stackOf(error) }
  const { code, message, hint, problems } = error
  return {
    kind: 'error',
    code,
    message,
    ...(hint === undefined ? {} : { hint }),
    ...(problems.length > 0 ? { problems } : {}),
  }
}

export function errorText(thrown: unknown): string {
  const error = inWords(thrown)
  if (error instanceof CommanderError) {
    return `keyvisor: ${usageMessage(error)}\n  hint: see "keyvisor --help"`
  }
  if (!(error instanceof KeyvisorError)) {
    return `${stackOf(error)}\n\nthis is a bug in keyvisor: please report it, with the lines above`
  }
  const lines = error.problems.map(formatProblem)
  lines.push(`keyvisor: ${error.message}`)
  if (error.hint !== undefined) lines.push(`  hint: ${error.hint}`)
  return lines.join('\n')
}

/** Commander's own words begin with `error: `, and end with a line end where it makes a suggestion. */
function usageMessage(error: CommanderError): string {
  return error.message.replace(/^error: /, '').trim()
}

function stackOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error)
}
