/**
 * `keyvisor test`: boots an image, on one PC or on many in turn, and says whether it came up.
 */
import { type Command, Option } from 'commander'
import {
  chooseMachines,
  EXIT,
  formatBytes,
  formatCpus,
  KeyvisorError,
  loadMachines,
  MACHINES_FILE,
  type Machine,
  type Proof,
  pcFacts,
  proveImage,
  type ReportEvent,
  type Run,
  runOnMachine,
  Store,
  storeFolder,
  type Workplace,
  walkImage,
  writeEvidence,
} from '../../index.js'
import { safe } from '../safe.js'
import type { Terminal } from '../terminal.js'
import { addPcOptions, type PcOptions, parseCount } from '../trial-options.js'
import { eventText, proofText } from '../trial-text.js'
import { machineText, stopText, walkText } from '../walk-text.js'

const HELP = `
Passes only on the stick's own report that the host is up and that each guest which
starts by itself is ready, and on a clean shutdown. A guest whose profile says
"ready: none" passes as "started, not proven". The image is only read. With --json each
line of stdout is an object with a "kind": progress, event, then result, or error.

A report has pictures of the firmware, GRUB, the banner and each guest's screen. The
guests' are fetched with a one-time key, which costs some seconds.

With --walk one stick goes from PC to PC. On each of them every guest must keep its identity
and its data, and get the memory and CPUs that "plan --on" predicts. A PC that fails does not
end the walk. With --each every PC gets a fresh stick, so that --jobs of them can run at once:
under emulation, give each PC at least two of this machine's CPUs.

Where this machine has no KVM, PCs without virtualization emulate guests inside an
emulation. A whole system takes many minutes to start there, and the stick gives up on it
after 15: name the other PCs then.

For example:
  $ keyvisor test out/my-stick.img --firmware secureboot --report out/report
  $ keyvisor test out/my-stick.img --walk usual,office,laptop --report out/report
  $ keyvisor test out/my-stick.img --walk --machines our-pcs.yaml --each --jobs 4`

interface Options extends PcOptions {
  report?: string
  /** Names with commas between them; true for all. */
  walk?: string | true
  machines?: string
  each?: true
  jobs?: number
  json?: true
}

export function add(program: Command, terminal: Terminal): void {
  const command = addPcOptions(program.command('test'))
  command
    .argument('<image>', 'an image that build wrote')
    .description('Boots an image in QEMU, and passes when the stick says that all is well.')
    .option('--walk [names]', 'boot it on many PCs in turn; all of the file, or those named: a,b')
    .option('--machines <file>', 'PCs of your own for --walk (docs/machines.md)')
    .option('--each', 'with --walk: use a fresh stick for each PC')
    .addOption(
      new Option('--jobs <n>', 'with --each: number of PCs to run at once (default: 1)').argParser(
        parseCount,
      ),
    )
    .option('--report <dir>', 'folder for report.html, junit.xml, pictures and logs')
    .option('--json', 'print events and verdict as lines of JSON')
    .addHelpText('after', HELP)
    .action((image: string, options: Options) => {
      checkOptions(command, options)
      return options.walk === undefined ? test(image, options, terminal) : walk(image, options, terminal)
    })
}

/** What would be silently without effect is an error. */
function checkOptions(command: Command, { walk, machines, each, jobs }: Options): void {
  const usage = (message: string, hint: string) =>
    new KeyvisorError('usage', message, { hint, exitCode: EXIT.usage })
  const idle = machines !== undefined ? '--machines' : '--each'
  if (walk === undefined && (machines ?? each)) throw usage(`${idle} needs --walk`, 'give --walk as well')
  if (jobs !== undefined && !each)
    throw usage(
      '--jobs needs --each: one stick is in one PC at a time',
      'give --each as well, or leave --jobs out',
    )
  const given = ['firmware', 'memory', 'cpus', 'virtualization'].filter(
    (name) => command.getOptionValueSource(name) === 'cli',
  )
  if (walk !== undefined && given.length > 0)
    throw usage(`--${given[0]} does not go with --walk: each PC has its own`, 'write a file for --machines')
}

async function openPlace(json: boolean, terminal: Terminal): Promise<Workplace> {
  const store = await Store.open(storeFolder())
  return { store, progress: terminal.progress(json), signal: terminal.signal }
}

/** @param machine the PC's name, where it is one of several */
function showEvent(event: ReportEvent, json: boolean, terminal: Terminal, machine?: string): void {
  // Ours last: a stick says what it likes, and must not say that this is the result.
  if (json) terminal.out(JSON.stringify({ ...event, ...(machine && { machine }), kind: 'event' }))
  else terminal.error(safe([machine, eventText(event)].filter(Boolean).join(': ')))
}

async function test(image: string, options: Options, terminal: Terminal): Promise<void> {
  const { json = false } = options
  const run = await openPlace(json, terminal)
  const onEvent = (event: ReportEvent) => showEvent(event, json, terminal)
  const proof = await proveImage(image, { ...options, onEvent }, run)
  if (proof.report) {
    const name = `${proof.firmware}, ${formatBytes(proof.memory)}, ${formatCpus(proof.cpus)}`
    await writeEvidence(proof.report, evidence(image, [{ name, pc: pcFacts(proof), proof }]))
  }
  terminal.out(json ? JSON.stringify({ kind: 'result', ...proof }) : safe(proofText(proof)))
  if (!proof.passed) terminal.exit(EXIT.failed)
}

async function walk(image: string, options: Options, terminal: Terminal): Promise<void> {
  const { json = false, report, stickSize, each = false, jobs = 1 } = options
  const names = typeof options.walk === 'string' ? options.walk.split(',') : []
  const machines = chooseMachines(await loadMachines(options.machines ?? MACHINES_FILE), names)
  const onEvent = (event: ReportEvent, { name }: Machine) => showEvent(event, json, terminal, name)
  const onMachine = (machine: Machine, index: number) => {
    if (json) terminal.out(JSON.stringify({ kind: 'machine', ...machine }))
    else terminal.error(safe(machineText(machine, index, machines.length)))
  }
  const onProof = (machine: Machine, proof: Proof) => {
    if (!json) terminal.error(safe(stopText(machine, proof)))
  }
  const given = { ...(report && { report }), ...(stickSize && { stickSize }) }
  const request = { onEvent, onMachine, onProof, each, jobs, ...given }
  const walked = await walkImage(image, machines, request, await openPlace(json, terminal))
  if (report) await writeEvidence(report, evidence(image, walked.runs.map(runOnMachine)))
  terminal.out(json ? JSON.stringify({ kind: 'result', ...walked }) : safe(walkText(walked)))
  if (!walked.passed) terminal.exit(EXIT.failed)
}

function evidence(image: string, runs: Run[]) {
  return { image, date: new Date().toISOString(), runs }
}
