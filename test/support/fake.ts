/**
 * A stick's system in memory, for the parts of `src/aboard/` that decide. Whether the real one answers so is shown
 * by the boot tests.
 */
import type { Machine, Ran } from '../../src/aboard/machine.js'

export interface Fake extends Machine {
  files: Map<string, string>
  /** Every program that was run, as one line. */
  ran: string[]
  /** What was sent to each device. */
  sent: Map<string, string>
  printed: string[]
}

/**
 * @param answer what a program prints, or how it ends; undefined: nothing, and well. It may change `files`.
 */
export function fakeMachine(
  files: Record<string, string>,
  answer: (line: string, machine: Fake) => string | Partial<Ran> | undefined = () => undefined,
): Fake {
  let clock = 0
  const fake: Fake = {
    files: new Map(Object.entries(files)),
    ran: [],
    sent: new Map(),
    printed: [],
    run(argv) {
      const line = argv.join(' ')
      fake.ran.push(line)
      const given = answer(line, fake)
      return { code: 0, stdout: '', stderr: '', ...(typeof given === 'string' ? { stdout: given } : given) }
    },
    readFile: (path) => fake.files.get(path),
    writeFile: (path, text) => void fake.files.set(path, text),
    exists: (path) => fake.files.has(path),
    send: (device, text) => void fake.sent.set(device, (fake.sent.get(device) ?? '') + text),
    print: (line) => void fake.printed.push(line),
    now: () => clock,
    sleep(milliseconds) {
      clock += milliseconds
    },
  }
  return fake
}
