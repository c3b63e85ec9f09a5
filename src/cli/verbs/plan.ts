/**
 * `keyvisor plan`: every decision before a byte is written.
 */
import { type Command, InvalidArgumentError, Option } from 'commander'
import { GiB, type Pc, parseBytes, planReport, Store, storeFolder } from '../../index.js'
import { planText } from '../plan-text.js'
import { safeValues } from '../safe.js'
import type { Terminal } from '../terminal.js'

const HELP = `
Shows the stick's partitions to scale, the host's packages, each guest's hardware, and
what a build still has to do. Estimates are marked with ≈. Package versions come from
the lock beside the profile; where there is none it is made, as build does, and
that needs the network.

For example:
  $ keyvisor plan my-stick.yaml
  $ keyvisor plan my-stick.yaml --on ram=8GiB,cpus=4,kvm=yes    what each guest gets there
  $ keyvisor plan my-stick.yaml --json | less                   all of it, packages too`

/** A small old PC: what it can run, others can too. */
const USUAL_PC: Pc = { memory: 4 * GiB, cpus: 2, kvm: true }

interface Options {
  json?: true
  lock?: string
  update?: true
  on: Pc
}

export function add(program: Command, terminal: Terminal): void {
  program
    .command('plan')
    .argument('<profile>', 'the profile')
    .description('Shows what a build would make, before a byte is written.')
    .addOption(onOption())
    .option('--lock <file>', 'the lock (default: beside the profile)')
    .option('--update', 'choose package versions anew')
    .option('--json', 'print everything as one JSON object')
    .addHelpText('after', HELP)
    .action((profile: string, options: Options) => plan(profile, options, terminal))
}

function onOption(): Option {
  return new Option('--on <pc>', 'size the guests for this PC')
    .argParser(parsePc)
    .default(USUAL_PC, 'ram=4GiB,cpus=2,kvm=yes')
}

async function plan(profile: string, options: Options, terminal: Terminal): Promise<void> {
  const { json, ...request } = options
  const store = await Store.open(storeFolder())
  // The answer is one object: progress stays on stderr, whatever the form of the answer.
  const run = { store, progress: terminal.progress(false), signal: terminal.signal }
  const report = await planReport({ profile, ...request }, run)
  if (json) terminal.out(JSON.stringify(report, null, 2))
  else terminal.out(planText(safeValues(report), terminal))
}

/** `ram=4GiB,cpus=2,kvm=no`, in any order; what is left out is as on the usual PC. */
export function parsePc(text: string): Pc {
  const pc = { ...USUAL_PC }
  for (const part of text.split(',')) {
    const [name, value = ''] = part.split('=')
    if (name === 'ram' && parseBytes(value)) pc.memory = parseBytes(value) as number
    else if (name === 'cpus' && /^[1-9][0-9]{0,3}$/.test(value)) pc.cpus = Number(value)
    else if (name === 'kvm' && (value === 'yes' || value === 'no')) pc.kvm = value === 'yes'
    else throw new InvalidArgumentError(`"${part}" is none of ram=4GiB, cpus=2, kvm=yes, kvm=no.`)
  }
  return pc
}
