/**
 * `keyvisor build`: a profile becomes an image.
 */
import { stat } from 'node:fs/promises'
import { relative } from 'node:path'
import { type Command, InvalidArgumentError, Option } from 'commander'
import {
  ARTIFACT_KINDS,
  type ArtifactKind,
  type ArtifactsRequest,
  allocatedBytes,
  type BuildResult,
  type BundleForm,
  buildImage,
  checkBuild,
  EXIT,
  formatProblem,
  KeyvisorError,
  type Published,
  publishImage,
  readyArtifacts,
  Store,
  storeFolder,
} from '../../index.js'
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

Artifacts are zst, xz, bmap, sbom, provenance and sums. A signing key's password comes
from --sign-password FILE, or $KEYVISOR_SIGN_PASSWORD; docs/artifacts.md has the rest.

For example:
  $ keyvisor build my-stick.yaml
  $ keyvisor build my-stick.yaml --update      with the newest packages
  $ keyvisor build my-stick.yaml --locked      with exactly the locked ones, or not at all
  $ keyvisor build my-stick.yaml --check       twice, and compares the bytes
  $ keyvisor build my-stick.yaml --explain     says which stages ran, and why
  $ keyvisor build my-stick.yaml --artifacts zst,bmap --sign me.key   what is published`

interface Options {
  out: string
  lock?: string
  update?: true
  locked?: true
  offline?: true
  check?: true
  explain?: true
  artifacts?: ArtifactKind[]
  changesFrom?: string
  sign?: string
  signPassword?: string
  bundle?: BundleForm
  json?: true
}

/** Where a signing key's password is looked for when no file has it. */
const PASSWORD_VARIABLE = 'KEYVISOR_SIGN_PASSWORD'

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
    .addOption(artifactsOption())
    .option('--changes-from <manifest>', 'list what changed since the build that wrote this manifest')
    .option('--sign <key>', 'sign the checksums with this secret key of minisign')
    .option('--sign-password <file>', 'a file with the password of that key')
    .addOption(new Option('--bundle <form>', 'everything in one archive as well').choices(['zip', 'tar']))
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

function artifactsOption(): Option {
  return new Option('--artifacts <list>', 'make these beside the image, or all').argParser(parseArtifacts)
}

function parseArtifacts(text: string): ArtifactKind[] {
  if (text === 'all') return [...ARTIFACT_KINDS]
  return text.split(',').map((word) => {
    const kind = ARTIFACT_KINDS.find((name) => name === word)
    if (kind === undefined)
      throw new InvalidArgumentError(`"${word}" is none of ${ARTIFACT_KINDS.join(', ')}, all.`)
    return kind
  })
}

/** Undefined where the options ask for none. */
function artifactsRequest(options: Options): ArtifactsRequest | undefined {
  const { artifacts: kinds = [], changesFrom, sign, signPassword, bundle } = options
  if (signPassword && !sign)
    throw new KeyvisorError('usage', '--sign-password is for a key', {
      hint: 'give --sign KEY, too',
      exitCode: EXIT.usage,
    })
  if (kinds.length === 0 && !changesFrom && !sign && !bundle) return undefined
  return {
    kinds,
    ...(changesFrom ? { changesFrom } : {}),
    ...(sign ? { sign: { key: sign, ...passwordOf(signPassword) } } : {}),
    ...(bundle ? { bundle } : {}),
  }
}

function passwordOf(file: string | undefined) {
  if (file !== undefined) return { password: { file } }
  return process.env[PASSWORD_VARIABLE] ? { password: { env: PASSWORD_VARIABLE } } : {}
}

async function build(profile: string, options: Options, terminal: Terminal): Promise<void> {
  const { json, offline = false, check, out, lock, update, locked, explain } = options
  const artifacts = artifactsRequest(options)
  const request = {
    profile,
    out,
    ...(lock === undefined ? {} : { lock }),
    ...(update ? { update } : {}),
    ...(locked ? { locked } : {}),
    ...(explain ? { explain } : {}),
  }
  const store = await Store.open(storeFolder())
  const place = { store, progress: terminal.progress(json === true), signal: terminal.signal, offline }
  const ready = artifacts && (await readyArtifacts(artifacts))
  const result = await buildImage(request, place)
  const published = await publishImage(result, ready, out, place)
  const differences = async (first: BuildResult, second: BuildResult) =>
    differencePlaces(await compare(first.image, second.image, store, terminal))
  const checked = check ? await checkBuild(request, result, place, differences) : null
  const found = await stat(result.image)
  const sizes = { size: found.size, allocated: allocatedBytes(found) }
  if (json) {
    terminal.out(JSON.stringify(resultLine(result, published, sizes, checked)))
    return
  }
  for (const warning of [...result.warnings, ...published.warnings])
    terminal.error(safe(formatProblem(warning)))
  if (result.explanations) terminal.out(safe(explainText(result.explanations)))
  const shown = nearPath(result.image)
  terminal.out(
    safe(buildText({ ...result, ...published, ...sizes, checked, shown, program: terminal.program })),
  )
}

/** As seen from the current folder, where there still is one. */
function nearPath(path: string): string {
  try {
    return relative(process.cwd(), path)
  } catch {
    return path
  }
}

/** The last line of `--json`: without the manifest, which has a file of its own. */
function resultLine(
  result: BuildResult,
  { artifacts, warnings }: Published,
  { size, allocated }: { size: number; allocated: number },
  checked: string | null,
) {
  return {
    kind: 'result',
    image: result.image,
    manifestFile: result.manifestFile,
    lockFile: result.lockFile,
    lockMade: result.lockMade,
    unchanged: result.unchanged,
    warnings: [...result.warnings, ...warnings],
    size,
    allocated,
    smallestStick: result.manifest.image.smallestStick,
    checked,
    ...(result.explanations ? { explanations: result.explanations } : {}),
    artifacts,
  }
}
