/**
 * `keyvisor test`: boots an image and says whether it came up.
 */
import type { Command } from 'commander'
import {
  EXIT,
  formatBytes,
  formatCpus,
  type Proof,
  pcFacts,
  proveImage,
  Store,
  storeFolder,
  writeEvidence,
} from '../../index.js'
import { safe } from '../safe.js'
import type { Terminal } from '../terminal.js'
import { addPcOptions, type PcOptions } from '../trial-options.js'
import { eventText, proofText } from '../trial-text.js'

const HELP = `
Passes only on the stick's own report that the host is up and that each guest which
starts by itself is ready, and on a clean shutdown. A guest whose profile says
"ready: none" passes as "started, not proven". The image is only read. With --json each
line of stdout is an object with a "kind": progress, event, then result, or error.

A report has pictures of the firmware, GRUB, the banner and each guest's screen. The
guests' are fetched with a one-time key, which costs some seconds.

For example:
  $ keyvisor test out/my-stick.img --firmware secureboot --report out/report`

interface Options extends PcOptions {
  report?: string
  json?: true
}

export function add(program: Command, terminal: Terminal): void {
  addPcOptions(program.command('test'))
    .argument('<image>', 'an image that build wrote')
    .description('Boots an image in QEMU, and passes when the stick says that all is well.')
    .option('--report <dir>', 'folder for report.html, junit.xml, pictures and logs')
    .option('--json', 'print events and verdict as lines of JSON')
    .addHelpText('after', HELP)
    .action((image: string, options: Options) => test(image, options, terminal))
}

async function test(image: string, options: Options, terminal: Terminal): Promise<void> {
  const { json = false, ...request } = options
  const store = await Store.open(storeFolder())
  const { signal } = terminal
  const onEvent = (event: Parameters<typeof eventText>[0]) => {
    if (json) terminal.out(JSON.stringify({ kind: 'event', ...event }))
    else terminal.error(safe(eventText(event)))
  }
  const run = { store, progress: terminal.progress(json), signal }
  const proof = await proveImage(image, { ...request, onEvent }, run)
  if (proof.report) await writeEvidence(proof.report, evidenceOf(image, proof))
  terminal.out(json ? JSON.stringify({ kind: 'result', ...proof }) : safe(proofText(proof)))
  if (!proof.passed) terminal.exit(EXIT.failed)
}

function evidenceOf(image: string, proof: Proof) {
  const name = `${proof.firmware}, ${formatBytes(proof.memory)}, ${formatCpus(proof.cpus)}`
  return { image, date: new Date().toISOString(), runs: [{ name, pc: pcFacts(proof), proof }] }
}
