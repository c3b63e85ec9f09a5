/**
 * `keyvisor inspect`: what is on an image or a stick.
 */
import type { Command } from 'commander'
import { inspectImage } from '../../index.js'
import { inspectText } from '../inspect-text.js'
import { safeValues } from '../safe.js'
import type { Terminal } from '../terminal.js'

const HELP = `
Everything is read from its own bytes; nothing is written. Anything odd is
noted at the end.

For example:
  $ keyvisor inspect out/my-stick.img
  $ sudo keyvisor inspect /dev/sdX       a stick that is plugged in`

export function add(program: Command, terminal: Terminal): void {
  program
    .command('inspect')
    .argument('<image>', 'an image that build wrote, or a disk')
    .description(
      'Shows what is on an image or a stick: its partitions to scale, its root hashes, its guests.',
    )
    .option('--json', 'print everything as one JSON object')
    .addHelpText('after', HELP)
    .action((image: string, options: { json?: true }) => inspect(image, options, terminal))
}

async function inspect(image: string, options: { json?: true }, terminal: Terminal): Promise<void> {
  const inspection = await inspectImage(image, true)
  if (options.json) terminal.out(JSON.stringify(inspection, null, 2))
  else terminal.out(inspectText(safeValues(inspection), terminal))
}
