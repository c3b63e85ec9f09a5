/**
 * `keyvisor run`: tries an image in QEMU.
 */
import type { Command } from 'commander'
import { EXIT, Store, storeFolder, type Trial, withTrial } from '../../index.js'
import { safe } from '../safe.js'
import type { Terminal } from '../terminal.js'
import { addPcOptions, type PcOptions } from '../trial-options.js'
import { eventText, trialText } from '../trial-text.js'

const HELP = `
The image is only read: what the stick writes goes to an overlay that is thrown away, or
kept in a file with --keep and used again the next time. The guests' web ports are
forwarded and printed as links. KVM is used where it works, else software emulation,
which takes minutes. QEMU itself is fetched on first use.

For example:
  $ keyvisor run out/my-stick.img --ssh
  $ keyvisor run out/my-stick.img --firmware secureboot --keep trial.qcow2`

/** Seconds that a stick has to shut down its guests and itself; who does not want to wait presses Ctrl-C again. */
const SHUTDOWN = 600

interface Options extends PcOptions {
  display?: true
  ssh?: true
  keep?: string
}

export function add(program: Command, terminal: Terminal): void {
  addPcOptions(program.command('run'))
    .argument('<image>', 'an image that build wrote')
    .description('Tries an image in QEMU, as a stick in a PC.')
    .option('--display', 'show the screen on a VNC port of this machine')
    .option('--ssh', 'make a key for this trial, to log in with')
    .option('--keep <file>', 'keep what the stick writes in this file')
    .addHelpText('after', HELP)
    .action((image: string, options: Options) => run(image, options, terminal))
}

async function run(image: string, options: Options, terminal: Terminal): Promise<void> {
  const store = await Store.open(storeFolder())
  const { signal } = terminal
  const say = (text: string) => terminal.out(safe(text))
  const onEvent = (event: Parameters<typeof eventText>[0]) => say(eventText(event))
  const work = { store, progress: terminal.progress(false), signal }
  await withTrial(image, { ...options, onEvent }, work, async (trial) => {
    say(trialText(trial))
    await Promise.race([trial.ended, aborted(signal)])
    if (signal.aborted) await shutDown(trial, terminal)
    else say('the stick switched its PC off')
  })
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    signal.addEventListener('abort', () => resolve(), { once: true })
  })
}

/** Ctrl-C is how a trial is meant to end: a stick that then shuts down well is no failure. */
async function shutDown(trial: Trial, terminal: Terminal): Promise<void> {
  terminal.error('shutting the stick down; Ctrl-C again pulls the plug')
  if ((await trial.shutDown(SHUTDOWN)) === 'off') return terminal.out('the stick shut down cleanly')
  terminal.error(`the stick did not shut down within ${SHUTDOWN} s; its plug was pulled`)
  terminal.exit(EXIT.failed)
}
