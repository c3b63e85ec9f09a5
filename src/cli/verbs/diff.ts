/**
 * `keyvisor diff`: how two images differ.
 */
import { rm } from 'node:fs/promises'
import type { Command } from 'commander'
import { diffImages, diffTools, EXIT, type ImageDiff, Store, storeFolder } from '../../index.js'
import { diffText } from '../diff-text.js'
import { safeValues } from '../safe.js'
import type { Terminal } from '../terminal.js'

const HELP = `
A and B are images, or the manifests beside them. The difference is told down to the
partition, the file, the package's version, and the first byte that differs. Exit code
0 when they are the same, 1 when they differ.

For example:
  $ keyvisor diff old/my-stick.img out/my-stick.img
  $ keyvisor diff old/my-stick.manifest.json out/my-stick.manifest.json`

export function add(program: Command, terminal: Terminal): void {
  program
    .command('diff')
    .argument('<a>', 'an image or manifest')
    .argument('<b>', 'another')
    .description('Explains how two images differ.')
    .option('--json', 'print everything as one JSON object')
    .addHelpText('after', HELP)
    .action((a: string, b: string, options: { json?: true }) => diff(a, b, options, terminal))
}

async function diff(a: string, b: string, options: { json?: true }, terminal: Terminal): Promise<void> {
  const store = await Store.open(storeFolder())
  const found = await store.leased(() => compare(a, b, store, terminal))
  if (options.json) terminal.out(JSON.stringify(found, null, 2))
  else terminal.out(diffText(safeValues(found)))
  if (!found.same) terminal.exit(EXIT.failed)
}

/** Compares two images in scratch of the store. */
export async function compare(a: string, b: string, store: Store, terminal: Terminal): Promise<ImageDiff> {
  const scratch = await store.scratch('diff')
  try {
    return await diffImages(a, b, { tools: diffTools(), scratch, signal: terminal.signal })
  } finally {
    await rm(scratch, { recursive: true, force: true })
  }
}
