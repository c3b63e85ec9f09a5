/**
 * `keyvisor test`: boots an image, on one PC or on many in turn, and says whether it came up.
 */
import type { Command } from 'commander'
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
  type StageRun,
  Store,
  storeFolder,
  type Walk,
  walkImage,
  writeEvidence,
} from '../../index.js'
import { safe } from '../safe.js'
import type { Terminal } from '../terminal.js'
import { addPcOptions, type PcOptions } from '../trial-options.js'
import { eventText, proofText } from '../trial-text.js'
import { machineText, walkText } from '../walk-text.js'

const HELP = `
Passes only on the stick's own report that the host is up and that each guest which
starts by itself is ready, and on a clean shutdown. A guest whose profile says
"ready: none" passes as "started, not proven". The image is only read. With --json each
line of stdout is an object with a "kind": progress, event, then result, or error.

A report has pictures of the firmware, GRUB, the banner and each guest's screen. The
guests' are fetched with a one-time key, which costs some seconds.

With --walk one stick goes from PC to PC, as its owner will take it: on each its guests must
be the same machines as before, with as much of the PC as "plan --on" says, and remember.

For example:
  $ keyvisor test out/my-stick.img --firmware secureboot --report out/report
  $ keyvisor test out/my-stick.img --walk usual,office,laptop --report out/report`

interface Options extends PcOptions {
  report?: string
  /** Names with commas between them; true for all. */
  walk?: string | true
  machines?: string
  json?: true
}

export function add(program: Command, terminal: Terminal): void {
  const command = addPcOptions(program.command('test'))
  command
    .argument('<image>', 'an image that build wrote')
    .description('Boots an image in QEMU, and passes when the stick says that all is well.')
    .option('--walk [names]', 'boot it on many PCs in turn; all of the file, or those named: a,b')
    .option('--machines <file>', 'PCs of your own for --walk (schemas/machines.schema.json)')
    .option('--report <dir>', 'folder for report.html, junit.xml, pictures and logs')
    .option('--json', 'print events and verdict as lines of JSON')
    .addHelpText('after', HELP)
    .action((image: string, options: Options) => {
      checkOptions(command, options)
      return options.walk === undefined ? test(image, options, terminal) : walk(image, options, terminal)
    })
}

/** What would be silently without effect is an error. */
function checkOptions(command: Command, { walk, machines }: Options): void {
  const usage = (message: string, hint: string) =>
    new KeyvisorError('usage', message, { hint, exitCode: EXIT.usage })
  if (walk === undefined && machines !== undefined)
    throw usage('--machines is for a walk', 'give --walk, too')
  const given = ['firmware', 'memory', 'cpus', 'virtualization'].filter(
    (name) => command.getOptionValueSource(name) === 'cli',
  )
  if (walk !== undefined && given.length > 0)
    throw usage(`--${given[0]} does not go with --walk: each PC has its own`, 'write a file for --machines')
}

function openRun(store: Store, json: boolean, terminal: Terminal) {
  const onEvent = (event: ReportEvent) => {
    if (json) terminal.out(JSON.stringify({ kind: 'event', ...event }))
    else terminal.error(safe(eventText(event)))
  }
  const run: StageRun = { store, progress: terminal.progress(json), signal: terminal.signal }
  return { run, onEvent }
}

async function test(image: string, options: Options, terminal: Terminal): Promise<void> {
  const { json = false, walk: _, machines: __, ...request } = options
  const { run, onEvent } = openRun(await Store.open(storeFolder()), json, terminal)
  const proof = await proveImage(image, { ...request, onEvent }, run)
  if (proof.report) {
    const name = `${proof.firmware}, ${formatBytes(proof.memory)}, ${formatCpus(proof.cpus)}`
    await writeEvidence(proof.report, evidence(image, [{ name, pc: pcFacts(proof), proof }]))
  }
  terminal.out(json ? JSON.stringify({ kind: 'result', ...proof }) : safe(proofText(proof)))
  if (!proof.passed) terminal.exit(EXIT.failed)
}

async function walk(image: string, options: Options, terminal: Terminal): Promise<void> {
  const { json = false, report } = options
  const names = typeof options.walk === 'string' ? options.walk.split(',') : []
  const machines = chooseMachines(await loadMachines(options.machines ?? MACHINES_FILE), names)
  const { run, onEvent } = openRun(await Store.open(storeFolder()), json, terminal)
  const onMachine = (machine: Machine, index: number) => {
    if (json) terminal.out(JSON.stringify({ kind: 'machine', ...machine }))
    else terminal.error(safe(machineText(machine, index, machines.length)))
  }
  const onProof = (_: Machine, proof: Proof) => {
    if (!json) terminal.error(safe(proofText(proof)))
  }
  const { stickSize } = options
  const request = { onEvent, onMachine, onProof, ...(report && { report }), ...(stickSize && { stickSize }) }
  const walked = await walkImage(image, machines, request, run)
  if (report) await writeEvidence(report, evidence(image, walked.runs.map(evidenceOf)))
  terminal.out(json ? JSON.stringify({ kind: 'result', ...walked }) : safe(walkText(walked)))
  if (!walked.passed) terminal.exit(EXIT.failed)
}

/** What the PC stands for, and of what is soldered to it that which {@link pcFacts} does not know. */
function evidenceOf({ machine, proof }: Walk['runs'][number]) {
  const { description, board, otherSystem } = machine
  const facts = [
    { label: 'stands for', value: description },
    { label: 'chipset', value: board.chipset },
    { label: 'stick', value: `on ${board.bus}` },
    { label: 'network card', value: board.nic === 'none' ? 'no network card' : board.nic },
    { label: 'disk', value: otherSystem ? 'another system on a disk' : 'no disk of its own' },
  ]
  return { name: machine.name, pc: [...facts, ...pcFacts(proof)], proof }
}

function evidence(image: string, runs: Run[]) {
  return { image, date: new Date().toISOString(), runs }
}
