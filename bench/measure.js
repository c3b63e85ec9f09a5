/**
 * What the parts of the benchmark share: timing commands and builds, and the table of figures with their limits.
 *
 * Left out: what is measured.
 */
import { spawnSync } from 'node:child_process'
import {
  copyFileSync,
  cpSync,
  existsSync,
  linkSync,
  mkdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { cpus, totalmem } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Store, version } from '../dist/index.js'

export const root = fileURLToPath(new URL('..', import.meta.url))
export const folder = join(root, 'out/bench')
/** Of each figure that is a median; odd. */
export const RUNS = Number(process.env.RUNS ?? 3)
export const MB = 1_000_000

const figures = []

/** One line of the table. `limit` is the most that is allowed; null is a figure that has none. */
export function figure(what, value, limit, unit, raw = '') {
  figures.push({ what, value, limit, unit, raw })
  const verdict = limit === null ? '        ' : value <= limit ? 'ok      ' : 'ABOVE   '
  const allowed = limit === null ? '' : `, limit ${limit.toFixed(2)}`
  console.log(`${verdict}${what}: ${value.toFixed(2)} ${unit}${allowed}. ${raw}`)
}

export const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]

/** Seconds of each run, for the column of raw figures. */
export const shown = (name, values) => `${name} ${values.map((value) => value.toFixed(2)).join(', ')} s`

/** Runs a command to its end; the answer is its seconds and its stdout. */
export function timed(argv, env = {}) {
  const started = process.hrtime.bigint()
  const { status, stdout, stderr, error } = spawnSync(argv[0], argv.slice(1), {
    env: { ...process.env, ...env },
    encoding: 'utf8',
    maxBuffer: 1 << 28,
  })
  if (error) throw error
  if (status !== 0)
    throw new Error(`${argv.join(' ')} ended with ${status}\n${stdout.slice(-2000)}${stderr.slice(-2000)}`)
  return { seconds: Number(process.hrtime.bigint() - started) / 1e9, stdout }
}

/** Peak of the builder alone, not of its tools: it says so itself when it ends. */
const PEAK = `data:text/javascript,${encodeURIComponent(
  `process.on('exit', () => process.stdout.write(JSON.stringify({ kind: 'peak', kib: process.resourceUsage().maxRSS }) + '\\n'))`,
)}`

/** Peaks of all builds so far, in MB. */
export const peaks = []

/**
 * A whole `keyvisor build`, as a user starts it. `written` is what it and its tools gave to disks (getrusage(2),
 * ru_oublock, in blocks of 512 bytes), scratch that was removed again included.
 */
export function build(args, { prefix = [], env = {} } = {}) {
  const program = [
    process.execPath,
    '--import',
    PEAK,
    join(root, 'dist/cli/main.js'),
    'build',
    ...args,
    '--json',
  ]
  const blocks = join(folder, 'blocks')
  const { seconds, stdout } = timed([...prefix, 'time', '-f', '%O', '-o', blocks, ...program], env)
  const events = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
  const of = (kind) => events.filter((event) => event.kind === kind)
  const stages = Object.fromEntries(of('end').map((event) => [event.stage, event]))
  peaks.push((of('peak')[0].kib * 1024) / MB)
  return {
    seconds,
    stages,
    result: of('result')[0],
    peak: peaks.at(-1),
    written: Number(readFileSync(blocks)) * 512,
  }
}

/** A new store that has a lock's packages, and an unpacked tools tree where `withTools`: nothing of any stage. */
export async function packageStore(name, lock, from, withTools) {
  const path = join(folder, name)
  rmSync(path, { recursive: true, force: true })
  const to = await Store.open(path)
  for (const { sha256 } of Object.values(lock.packages)) {
    if (!existsSync(from.objectPath(sha256))) continue
    mkdirSync(dirname(to.objectPath(sha256)), { recursive: true })
    linkOrCopy(from.objectPath(sha256), to.objectPath(sha256))
  }
  if (withTools)
    cpSync(join(from.folder, 'trees'), join(path, 'trees'), { recursive: true, verbatimSymlinks: true })
  return to
}

export function linkOrCopy(source, target) {
  try {
    linkSync(source, target)
  } catch {
    copyFileSync(source, target)
  }
}

/** Writes the table to bench/results/DATE.md; true when every figure is within its limit. */
export function report() {
  const date = new Date().toISOString().slice(0, 10)
  const machine = `${cpus().length} × ${cpus()[0].model}, ${(totalmem() / 2 ** 30).toFixed(0)} GiB, Node ${process.version}`
  const rows = figures.map(({ what, value, limit, unit, raw }) => {
    const verdict = limit === null ? '' : value <= limit ? 'yes' : '**no**'
    const allowed = limit === null ? '' : `${limit.toFixed(2)} ${unit}`
    return `| ${what} | ${value.toFixed(2)} ${unit} | ${allowed} | ${verdict} | ${raw} |`
  })
  const who = process.getuid() === 0 ? 'as root' : 'rootless'
  const head = `# ${date}\n\nKeyvisor ${version()}; ${machine}; ${who}. Medians of ${RUNS} runs, in turns.\n`
  const table = ['| what | figure | limit | within | raw |', '|---|---|---|---|---|', ...rows].join('\n')
  mkdirSync(join(root, 'bench/results'), { recursive: true })
  writeFileSync(join(root, `bench/results/${date}.md`), `${head}\n${table}\n`)
  return figures.every(({ value, limit }) => limit === null || value <= limit)
}
