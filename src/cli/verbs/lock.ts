/**
 * `keyvisor lock`: every outside input of a profile is pinned, and nothing is built.
 */
import { type Command, Option } from 'commander'
import { formatProblem, lockProfile, Store, storeFolder } from '../../index.js'
import { lockText } from '../lock-text.js'
import { safe, safeValues } from '../safe.js'
import type { Terminal } from '../terminal.js'

const HELP = `
Writes PROFILE.lock.json: the version and digest of every package for the host, the
guests and the tools, the digest of every guest image, and the date of the build. A
lock that matches the profile stays as it is, unless --update is given; an image whose
bytes changed is locked anew, and package versions stay. Keep the lock beside the
profile, and "keyvisor build --locked" makes the same bytes from it.

For example:
  $ keyvisor lock my-stick.yaml
  $ keyvisor lock my-stick.yaml --update      the newest packages, and what changes
  $ keyvisor lock my-stick.yaml --offline     the images only: does the lock still fit?`

interface Options {
  lock?: string
  update?: true
  offline?: true
  json?: true
}

export function add(program: Command, terminal: Terminal): void {
  program
    .command('lock')
    .argument('<profile>', 'the profile')
    .description('Pins every package and image that a build takes, without building.')
    .option('--lock <file>', 'the lock (default: beside the profile)')
    .option('--update', 'choose package versions anew')
    .addOption(
      new Option('--offline', 'use no network: a lock that needs other packages is an error').conflicts(
        'update',
      ),
    )
    .option('--json', 'print the summary as one JSON object')
    .addHelpText('after', HELP)
    .action((profile: string, options: Options) => lock(profile, options, terminal))
}

async function lock(profile: string, options: Options, terminal: Terminal): Promise<void> {
  const { json, offline = false, ...request } = options
  const store = await Store.open(storeFolder())
  // The answer is one object: progress stays on stderr, whatever the form of the answer.
  const run = { store, progress: terminal.progress(false), signal: terminal.signal, offline }
  const report = await lockProfile({ profile, ...request }, run)
  if (json) {
    terminal.out(JSON.stringify(report, null, 2))
    return
  }
  for (const warning of report.warnings) terminal.error(safe(formatProblem(warning)))
  terminal.out(lockText(safeValues(report)))
}
