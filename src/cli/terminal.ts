/**
 * The terminal: what a verb gets to speak to the user with, and how the user ends it.
 *
 * stdout carries answers, stderr progress and errors, so that answers can be piped. The one exception is `--json`,
 * where every line of stdout is a JSON object, progress and errors among them.
 * Left out: what progress looks like (`progress.ts`).
 */
import { EXIT, Interrupted, type Progress } from '../index.js'
import { jsonProgress, LiveLines, liveProgress, plainProgress } from './progress.js'

export interface Terminal {
  /** One or more lines to stdout; the last line end is added. */
  out(text: string): void
  /** The same to stderr. */
  error(text: string): void
  /** The exit code of a verb that comes to its end without throwing; 0 unless told. */
  exit(code: number): void
  /** How the user calls this program, for commands to paste: `keyvisor`, or `npx keyvisor`. */
  readonly program: string
  /** stdout shows ANSI colours. */
  readonly color: boolean
  /** stdout shows ASCII alone. */
  readonly ascii: boolean
  /** Columns of stdout; 80 where it is no terminal. */
  readonly width: number
  /** stderr is a terminal: somebody watches. */
  readonly tty: boolean
  /** Aborted with `Interrupted` by SIGINT, SIGTERM and SIGHUP. A second one ends the program at once. */
  readonly signal: AbortSignal
  /** Shows progress: live lines, plain lines when piped; with `json` one JSON object a line, on stdout. */
  progress(json: boolean): Progress
}

/** Columns where nobody says. */
const USUAL_WIDTH = 80

/** Columns of a stream; some terminals say 0 when they do not know (`stty cols 0`). */
export function columnsOf({ columns }: { columns?: number }): number {
  return columns || USUAL_WIDTH
}

/**
 * What becomes of answers that cannot be written. `keyvisor plan ... | head` closes the pipe: that is the reader's right,
 * and no error. The work goes on to its own exit code, since `build --json | head -1` must not call done what is not. Of
 * what stderr cannot take nobody could be told, but by the exit code.
 */
function watchStreams({ stdout, stderr }: NodeJS.Process): void {
  stderr.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') process.exitCode ||= EXIT.failed
  })
  stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') return
    stderr.write(`keyvisor: the answer cannot be written: ${error.message}\n`)
    process.exit(EXIT.failed)
  })
}

/** The terminal of this process. Installs the handlers of signals, and of streams that fail. */
export function openTerminal(): Terminal {
  const { stdout, stderr, env } = process
  watchStreams(process)
  const live = new LiveLines((text) => stderr.write(text))
  const tty = stderr.isTTY === true && env['TERM'] !== 'dumb'
  const say = (stream: NodeJS.WriteStream, text: string) => {
    live.clear()
    stream.write(text.endsWith('\n') ? text : `${text}\n`)
  }
  return {
    out: (text) => say(stdout, text),
    error: (text) => say(stderr, text),
    exit: (code) => {
      process.exitCode = code
    },
    program: env['npm_command'] === 'exec' ? 'npx keyvisor' : 'keyvisor',
    color: stdout.isTTY === true && env['TERM'] !== 'dumb' && !env['NO_COLOR'],
    ascii: asciiOnly(env),
    width: columnsOf(stdout),
    tty,
    signal: interruption(),
    progress(json) {
      if (json) return jsonProgress((line) => stdout.write(`${line}\n`))
      if (!tty) return plainProgress((line) => stderr.write(`${line}\n`))
      return liveProgress(live, () => columnsOf(stderr))
    },
  }
}

/** True where the locale names an encoding other than UTF-8; a locale that is not set says nothing. */
function asciiOnly(env: NodeJS.ProcessEnv): boolean {
  const locale = env['LC_ALL'] || env['LC_CTYPE'] || env['LANG'] || ''
  return locale !== '' && !/utf-?8/i.test(locale)
}

function interruption(): AbortSignal {
  const controller = new AbortController()
  const stop = () => {
    // Whoever asks twice does not want to wait for anything: children end with us (PR_SET_PDEATHSIG).
    if (controller.signal.aborted) process.exit(EXIT.interrupted)
    controller.abort(new Interrupted())
  }
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, stop)
  return controller.signal
}
