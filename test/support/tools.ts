/**
 * Other people's tools in tests: a missing one fails in CI, and is named aloud as skipped elsewhere.
 */
import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { systemTools, type ToolRunner, which } from '../../src/base/tool.js'

/** What of a tap test this module needs. */
interface Test {
  pass(message: string, extra: { skip: string }): unknown
  fail(message: string): unknown
}

/**
 * True when the tool is on this machine. Otherwise the test has failed (CI=true) or was skipped aloud, and should
 * return: `if (!needTool(t, 'sgdisk')) return`.
 */
export function needTool(t: Test, name: string): boolean {
  if (which(name)) return true
  if (process.env['CI'] === 'true') {
    t.fail(`${name} is missing, and CI must have it`)
    return false
  }
  skipAloud(t, `${name} is not on this machine`)
  return false
}

/**
 * As {@link needTool} for the browser that pages are opened in, which is Debian's. Ubuntu has Chromium as a snap alone: that
 * cannot see what a test wrote, and a machine without snapd cannot have it. So CI must have it on Debian, and says
 * elsewhere that nobody looked.
 */
export function needBrowser(t: Test): boolean {
  const isDebian = /^ID=debian$/m.test(readFileSync('/etc/os-release', 'utf8'))
  if (isDebian || which('chromium')) return needTool(t, 'chromium')
  skipAloud(t, "pages are opened in Debian's package chromium, which this system does not have")
  return false
}

/** Files that other people made, which lie beside the repository where somebody has them. */
const CORPUS = fileURLToPath(new URL('../../../shared/corpus/', import.meta.url))

/** As {@link needTool} for a folder of that collection; undefined where it is not there. */
export function needCorpus(t: Test, name: string): string | undefined {
  const folder = `${CORPUS}${name}`
  if (existsSync(folder)) return folder
  if (process.env['CI'] === 'true') t.fail(`${folder} is missing, and CI must have it`)
  else skipAloud(t, `files that other people made are not at ${folder}`)
  return undefined
}

/** Marks a test as skipped, where everybody sees it. */
export function skipAloud(t: Test, why: string): void {
  console.error(`SKIPPED: ${why}`)
  t.pass(why, { skip: why })
}

/** As {@link needTool}, for several. */
export function needTools(t: Test, ...names: string[]): boolean {
  return names.map((name) => needTool(t, name)).every(Boolean)
}

/** A name that shells, tar(1), apt.conf(5), mtools, libext2fs and formats of printf(3) would each read in their own way. */
export const ODD_NAME = `-odd "it's" $HOME %20%s \`x\`?offset=1@@2\n\\n;#*[a],=ö→`

/** The machine's tools, whose files may hold so many bytes: a write beyond them fails, as one on a full disk does. */
export function cramped(bytes: number): ToolRunner {
  const script = `ulimit -f ${bytes / 512}; trap '' XFSZ; exec "$@"`
  const run: ToolRunner['run'] = (call) =>
    systemTools.run({ ...call, tool: 'sh', args: ['-c', script, 'sh', call.tool, ...call.args] })
  return { argv: systemTools.argv, run }
}

/** A seeded generator of whole numbers below `limit` (mulberry32): a failure can be run again from its seed. */
export function seeded(seed: number): (limit: number) => number {
  let state = seed >>> 0
  return (limit) => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * limit)
  }
}

/** The seed of this run: `SEED` of the environment, else new; printed, so that a failure can be run again. */
export function seedOfRun(): number {
  const seed = Number(process.env['SEED'] ?? Math.floor(Math.random() * 2 ** 31))
  console.error(`# SEED=${seed}`)
  return seed
}
