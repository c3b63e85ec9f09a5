/**
 * The command line: argv, the verbs, and what becomes of errors.
 *
 * Exit codes: 0 done, 1 failed, 2 usage or invalid profile, 70 our bug, 130 interrupted (`EXIT` of base/errors.ts).
 * Left out: what the verbs do. They are one file each, and use nothing but the library's face, `src/index.ts`.
 */
import { Command, CommanderError } from 'commander'
import { EXIT, KeyvisorError, version } from '../index.js'
import { exitCodeOf, folderGone, showError } from './errors.js'
import type { Terminal } from './terminal.js'
import * as build from './verbs/build.js'
import * as diff from './verbs/diff.js'
import * as init from './verbs/init.js'
import * as inspect from './verbs/inspect.js'
import * as lock from './verbs/lock.js'
import * as plan from './verbs/plan.js'
import * as run from './verbs/run.js'
import * as store from './verbs/store.js'
import * as test from './verbs/test.js'
import * as validate from './verbs/validate.js'

export { openTerminal } from './terminal.js'

/** In the order in which a newcomer needs them. */
const VERBS = [init, validate, plan, build, lock, inspect, run, test, diff, store]

const HELP = `
A first stick, in four steps:
  $ keyvisor init my-stick.yaml          writes a commented profile to edit
  $ keyvisor validate my-stick.yaml      says what is wrong with it
  $ keyvisor build my-stick.yaml         makes out/my-stick.img
  $ keyvisor run out/my-stick.img        tries it in QEMU, without a stick

Run "keyvisor help VERB" for details. Exit codes: 0 done, 1 failed, 2 usage or
invalid profile, 70 a bug in keyvisor, 130 interrupted.`

function makeProgram(terminal: Terminal): Command {
  const program = new Command('keyvisor')
    .description('Turns one profile into a USB stick that carries a hypervisor and your virtual machines.')
    .version(version(), '--version', 'show the version')
    .helpOption('-h, --help', 'show this help')
    .helpCommand('help [verb]', 'show the help of a verb')
    .addHelpText('after', HELP)
    .showSuggestionAfterError()
    .hook('preAction', (_, verb) => refuseEmpty(verb))
    .exitOverride()
    .configureOutput({
      writeOut: (text) => terminal.out(text),
      // Commander writes and then throws: main shows the error once, as JSON where that is asked for.
      outputError: () => {},
      writeErr: (text) => terminal.error(text),
      getOutHelpWidth: () => Math.min(terminal.width, 100),
    })
  for (const verb of VERBS) verb.add(program, terminal)
  return program
}

/** Runs one command line; the answer is its exit code, where the verb set none itself. */
export async function main(argv: string[], terminal: Terminal): Promise<void> {
  try {
    const program = makeProgram(terminal)
    if (argv.length === 0) return usage(program, terminal)
    await program.parseAsync(argv, { from: 'user' })
  } catch (error) {
    // Help and version are thrown too, with exit code 0.
    if (error instanceof CommanderError && error.exitCode === 0) return
    const thrown = folderGone(error) ?? error
    terminal.exit(exitCodeOf(thrown, terminal.signal))
    showError(thrown, terminal, argv.includes('--json'))
  }
}

/** An unset variable of a script makes an empty argument, which as a path means the current folder, or nothing. */
function refuseEmpty(verb: Command): void {
  const option = Object.entries(verb.opts()).find(([, value]) => value === '')?.[0]
  const argument = verb.args.includes('') ? 'an argument' : undefined
  // `signPassword` is --sign-password.
  const what = option ? `--${option.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}` : argument
  if (what === undefined) return
  throw new KeyvisorError('usage', `${what} is empty`, { hint: 'name something', exitCode: EXIT.usage })
}

function usage(program: Command, terminal: Terminal): void {
  terminal.error(program.helpInformation() + HELP)
  terminal.exit(EXIT.usage)
}
