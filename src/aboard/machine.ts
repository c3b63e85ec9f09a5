/**
 * What the stick's code asks of the system under it. Everything waits: one thing happens after the other.
 */

export interface Ran {
  /** Exit code; 128 and the signal's number when a signal ended it, 127 when it could not be started. */
  code: number
  stdout: string
  stderr: string
}

export interface Machine {
  /** Runs a program, found on PATH, with these arguments; no shell is in between. */
  run(argv: readonly string[]): Ran
  /** Undefined when the file cannot be read. */
  readFile(path: string): string | undefined
  /** Writes a new file and renames it, so that no reader sees half of it. Throws Error when that fails. */
  writeFile(path: string, text: string): void
  exists(path: string): boolean
  /** Writes ASCII to a device if it is there and takes it; never waits for long, never fails. */
  send(device: string, text: string): void
  /** One line to standard output, which is the journal. */
  print(line: string): void
  /** Monotonic clock, milliseconds. */
  now(): number
  /** Milliseconds. */
  sleep(milliseconds: number): void
}

/** Exit code of timeout(1) when it ended the program. */
const TIMED_OUT = 124

/** Runs a program that must succeed. Throws Error with what it said. */
export function must(machine: Machine, argv: readonly string[]): string {
  const { code, stdout, stderr } = machine.run(argv)
  if (code === 0) return stdout
  const [program, limit] = argv[0] === 'timeout' ? [argv[2], argv[1]] : [argv[0], undefined]
  if (limit && code === TIMED_OUT) throw new Error(`${program} did not end within ${limit} s`)
  throw new Error(`${program} failed (exit code ${code}): ${shortened(stderr || stdout)}`)
}

/** What a program said, on one line that fits a report. */
function shortened(output: string): string {
  const line = output.trim().replace(/\s*\n\s*/g, '; ')
  return line.length > 300 ? `${line.slice(0, 300)}...` : line
}
