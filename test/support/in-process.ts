/**
 * The command line in this process: for what it says of its arguments, which is the same wherever it runs.
 */
import { silent } from '../../src/base/progress.js'
import { main } from '../../src/cli/program.js'
import type { Terminal } from '../../src/cli/terminal.js'
import type { Ended } from './command.js'

/** Runs `keyvisor ARGS` to its end, as it is where nobody watches. */
export async function said(args: string[]): Promise<Ended> {
  const ended = { code: 0, stdout: '', stderr: '' }
  const line = (text: string) => (text.endsWith('\n') ? text : `${text}\n`)
  const terminal: Terminal = {
    out(text) {
      ended.stdout += line(text)
    },
    error(text) {
      ended.stderr += line(text)
    },
    exit(code) {
      ended.code = code
    },
    program: 'keyvisor',
    color: false,
    ascii: false,
    width: 80,
    tty: false,
    signal: new AbortController().signal,
    progress: () => silent,
  }
  await main(args, terminal)
  return ended
}
