/**
 * `keyvisor store`: what the store holds, a smaller store, a sound store.
 */
import { type Command, InvalidArgumentError } from 'commander'
import {
  type Bytes,
  EXIT,
  KeyvisorError,
  type PruneRequest,
  parseBytes,
  pruneStore,
  readContents,
  Store,
  storeFolder,
  storeLimit,
  verifyStore,
} from '../../index.js'
import { safe } from '../safe.js'
import { contentsText, healthText, prunedText } from '../store-text.js'
import type { Terminal } from '../terminal.js'

const HELP = `
The store is $KEYVISOR_STORE, else ~/.cache/keyvisor. It can be removed as a whole at
any time when no build runs: the next build makes everything anew.

For example:
  $ keyvisor store ls                        what it holds, and since when nobody used it
  $ keyvisor store prune --older-than 30d    removes what was not used for 30 days
  $ keyvisor store prune --max-size 10GiB    removes the least recently used
  $ keyvisor store verify                    reads all of it, and removes what is damaged`

const PRUNE_HELP = `
The least recently used goes first; what a running build uses stays. Without options
the limit is $KEYVISOR_STORE_LIMIT, to which every build prunes at its end.

For example:
  $ keyvisor store prune --max-size 10GiB --older-than 30d`

const VERIFY_HELP = `
Exit code 1 when something was damaged. It is removed, and the next build that needs
it makes it anew.

For example:
  $ keyvisor store verify && echo sound`

interface Options {
  json?: true
}

export function add(program: Command, terminal: Terminal): void {
  const store = program
    .command('store')
    .description('Shows, prunes and verifies the store, which keeps what builds made.')
    .addHelpText('after', HELP)
  const json = 'print everything as one JSON object'
  store
    .command('ls')
    .description('Shows what the store holds, the most recently used first.')
    .option('--json', json)
    .action((options: Options) => ls(options, terminal))
  store
    .command('prune')
    .description('Removes what was not used for long, or until the store is small enough.')
    .option('--max-size <size>', 'what the store may take on the disk, such as 10GiB', parseSize)
    .option('--older-than <time>', 'remove what was not used for so long, such as 30d or 12h', parseTime)
    .option('--json', json)
    .addHelpText('after', PRUNE_HELP)
    .action((options: Options & PruneRequest) => prune(options, terminal))
  store
    .command('verify')
    .description('Reads all of the store, and removes what is damaged.')
    .option('--json', json)
    .addHelpText('after', VERIFY_HELP)
    .action((options: Options) => verify(options, terminal))
}

async function ls({ json }: Options, terminal: Terminal): Promise<void> {
  const contents = await readContents(await Store.open(storeFolder()))
  // A Map is no JSON, and entries say the same.
  const { objects: _, ...shown } = contents
  if (json) terminal.out(JSON.stringify({ ...shown, entries: shown.entries.toReversed() }, null, 2))
  else terminal.out(safe(contentsText(contents, Date.now())))
}

async function prune({ json, ...asked }: Options & PruneRequest, terminal: Terminal): Promise<void> {
  const limit = storeLimit()
  const usual = limit === undefined ? {} : { maxSize: limit }
  const request = Object.keys(asked).length > 0 ? asked : usual
  if (Object.keys(request).length === 0) {
    throw new KeyvisorError('usage', 'nothing says what to remove', {
      hint: 'add --max-size or --older-than, or set KEYVISOR_STORE_LIMIT',
      exitCode: EXIT.usage,
    })
  }
  const pruned = await pruneStore(await Store.open(storeFolder()), request)
  if (json) terminal.out(JSON.stringify(pruned, null, 2))
  else terminal.out(safe(prunedText(pruned)))
}

async function verify({ json }: Options, terminal: Terminal): Promise<void> {
  const store = await Store.open(storeFolder())
  const health = await verifyStore({ store, progress: terminal.progress(false), signal: terminal.signal })
  if (json) terminal.out(JSON.stringify(health, null, 2))
  else terminal.out(safe(healthText(health)))
  if (health.damage.length > 0) terminal.exit(EXIT.failed)
}

function parseSize(text: string): Bytes {
  const size = parseBytes(text)
  if (size === undefined) throw new InvalidArgumentError(`"${text}" is not a size such as 10GiB.`)
  return size
}

const SECONDS: Record<string, number> = { h: 3600, d: 24 * 3600 }

/** `30d`, `12h`: in seconds. */
export function parseTime(text: string): number {
  const match = /^([0-9]{1,6})([hd])$/.exec(text)
  if (!match) throw new InvalidArgumentError(`"${text}" is no time such as 30d or 12h.`)
  return Number(match[1]) * (SECONDS[match[2] as string] as number)
}
