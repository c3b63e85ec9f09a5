/**
 * `keyvisor build`: a profile becomes an image.
 */
import { stat } from 'node:fs/promises'
import { relative } from 'node:path'
import { type Command, Option } from 'commander'
import { type BuildResult, buildImage, checkBuild, formatProblem, Store, storeFolder } from '../../index.js'
import { buildText } from '../build-text.js'
import { differencePlaces } from '../diff-text.js'
import { explainText } from '../explain-text.js'
import { safe } from '../safe.js'
import type { Terminal } from '../terminal.js'
import { compare } from './diff.js'

const HELP = `
Writes DIR/NAME.img and DIR/NAME.manifest.json, where NAME is the profile's name. What
was built before and did not change is taken from the store: $KEYVISOR_STORE, else
~/.cache/keyvisor. No root needed. Ctrl-C ends it at any time; the next build goes on
from there. With --json each line of stdout is an object with a "kind": start, bytes,
note and end while it works, then result, or error.

For example:
  $ keyvisor build my-stick.yaml
  $ keyvisor build my-stick.yaml --update      with the newest packages
  $ keyvisor build my-stick.yaml --locked      with exactly the locked ones, or not at all
  $ keyvisor build my-stick.yaml --check       twice, and compares the bytes
  $ keyvisor build my-stick.yaml --explain     says which stages ran, and why`

interface Options {
  out: string
  lock?: string
  update?: true
  locked?: true
  offline?: true
  check?: true
  explain?: true
  json?: true
}

export function add(program: Command, terminal: Terminal): void {
  program
    .command('build')
    .argument('<profile>', 'the profile')
    .description('Builds the image of a profile, ready to be written to a stick.')
    .option('--out <dir>', 'folder for the image and its manifest', 'out')
    .option('--lock <file>', 'the lock (default: beside the profile)')
    .option('--update', 'choose package versions anew')
    .addOption(lockedOption())
    .addOption(offlineOption())
    .option('--check', 'build it a second time from the locked packages, and compare the bytes')
    .option('--explain', 'say of each stage whether it ran, and what changed')
    .option('--json', 'print progress and result as lines of JSON')
    .addHelpText('after', HELP)
    .action((profile: string, options: Options) => build(profile, options, terminal))
}

function lockedOption(): Option {
  return new Option('--locked', 'refuse a lock that is missing or does not fit').conflicts('update')
}

function offlineOption(): Option {
  return new Option('--offline', 'use no network: what the store lacks is an error').conflicts('update')
}

async function build(profile: string, options: Options, terminal: Terminal): Promise<void> {
  const { json, offline = false, check, ...rest } = options
  const request = { profile, ...rest }
  const store = await Store.open(storeFolder())
  const run = { store, progress: terminal.progress(json === true), signal: terminal.signal, offline }
  const result = await buildImage(request, run)
  const differences = async (first: BuildResult, second: BuildResult) =>
    differencePlaces(await compare(first.image, second.image, store, terminal))
  const checked = check ? await checkBuild(request, result, run, differences) : null
  const { size, blocks } = await stat(result.image)
  const sizes = { size, allocated: blocks * 512 } // stat(2): blocks of 512 bytes, whatever the file system's own
  if (json) {
    terminal.out(JSON.stringify(resultLine(result, sizes, checked)))
    return
  }
  for (const warning of result.warnings) terminal.error(safe(formatProblem(warning)))
  if (result.explanations) terminal.out(safe(explainText(result.explanations)))
  const shown = relative(process.cwd(), result.image)
  terminal.out(safe(buildText({ ...result, ...sizes, checked, shown, program: terminal.program })))
}

/** The last line of `--json`: without the manifest, which has a file of its own. */
function resultLine(result: BuildResult, sizes: { size: number; allocated: number }, checked: string | null) {
  const { image, manifestFile, lockFile, lockMade, unchanged, warnings, manifest, explanations } = result
  return {
    kind: 'result',
    ...{ image, manifestFile, lockFile, lockMade, unchanged, warnings },
    ...sizes,
    smallestStick: manifest.image.smallestStick,
    checked,
    ...(explanations ? { explanations } : {}),
  }
}
