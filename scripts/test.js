/**
 * Runs tests and counts them: `node scripts/test.js [NAME...]`, where NAME is a suite below, or a path below test/.
 * Without a name: everything but the long tests.
 *
 * Says how long each suite took. The last line is `N passed, N failed`, over all runs; the exit code is not 0 when anything
 * failed.
 */
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, utimesSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))

/** Builds and boots need the whole machine, so those run one after the other. `seconds`: the most that a file may take. */
const SUITES = {
  unit: { without: ['test/oracle/', 'test/boot/', 'test/long/'], jobs: 2, seconds: 300 },
  oracle: { below: 'test/oracle/', jobs: 1, seconds: 1800 },
  boot: { below: 'test/boot/', jobs: 1, seconds: 3600 },
}
const LONG = { jobs: 1, seconds: 7200 }

const all = readdirSync(join(root, 'test'), { recursive: true, encoding: 'utf8' })
  .filter((path) => path.endsWith('.test.ts'))
  .map((path) => `test/${path}`)
  .sort()

function suite(name) {
  return (Object.hasOwn(SUITES, name) && SUITES[name]) || { ...LONG, below: `test/${name}` }
}

/** `long/power` is one file, though `long/powerboots` begins so too. */
function filesOf({ below = 'test/', without = [] }) {
  if (all.includes(`${below}.test.ts`)) return [`${below}.test.ts`]
  return all.filter((path) => path.startsWith(below) && !without.some((other) => path.startsWith(other)))
}

/** Once for all files: in each process it would take longer than most tests. Types are checked by `npm run typecheck`. */
function compile() {
  execFileSync(process.execPath, [join(root, 'scripts/programs.js')], { stdio: 'inherit' })
  const tsc = join(root, 'node_modules/typescript/bin/tsc')
  execFileSync(process.execPath, [tsc, '-p', 'test/tsconfig.json', '--noCheck'], {
    cwd: root,
    stdio: 'inherit',
  })
  markFresh()
}

/** tsc writes nothing where only a file's time is new, and test-modules.js goes by times. */
function markFresh() {
  const now = new Date()
  const compiled = readdirSync(join(root, 'dist-tests'), { recursive: true, encoding: 'utf8' })
  for (const path of compiled) if (path.endsWith('.js')) utimesSync(join(root, 'dist-tests', path), now, now)
}

/** tap's last word: `# { total: 69, pass: 68, fail: 1, skip: 2 }`. Undefined for every other line. */
function count(line) {
  const summary = /^# \{ (total: .*) \}$/.exec(line)?.[1]
  if (!summary) return undefined
  const numbers = Object.fromEntries(
    [...summary.matchAll(/(\w+): (\d+)/g)].map(([, name, number]) => [name, Number(number)]),
  )
  return { pass: numbers.pass ?? 0, fail: numbers.fail ?? 0, skip: numbers.skip ?? 0 }
}

/** Of a file's stream, what a person reads: everything about what failed. */
function worthShowing() {
  let failing = false
  return (line) => {
    if (/^\s*not ok /.test(line)) failing = true
    else if (/^\s*(ok |# |1\.\.)/.test(line)) failing = false
    return failing || /^Bail out/.test(line)
  }
}

/** Runs one file in a process of its own, which is ended when it takes too long; the answer is what tap counted. */
async function runFile(file, seconds) {
  const started = Date.now()
  const test = spawn(
    process.execPath,
    ['--import', join(root, 'scripts/test-modules.js'), '--enable-source-maps', file],
    {
      cwd: root,
      env: { ...process.env, TAP_TIMEOUT: String(seconds) },
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  )
  const timer = setTimeout(() => test.kill('SIGKILL'), (seconds + 30) * 1000)
  const [show, shown] = [worthShowing(), []]
  let counted
  const ended = once(test, 'exit')
  for await (const line of createInterface({ input: test.stdout })) {
    counted = count(line) ?? counted
    if (show(line)) shown.push(`    ${line}`)
  }
  const [status, signal] = await ended
  clearTimeout(timer)
  counted ??= { pass: 0, fail: 0, skip: 0 }
  // A file that ended early, or said nothing, has failed, whatever its assertions said.
  if ((status !== 0 || counted.pass + counted.skip === 0) && counted.fail === 0) counted.fail = 1
  const took = `${((Date.now() - started) / 1000).toFixed(1)} s`
  const how = status === 0 ? '' : ` (${signal ?? `exit code ${status}`})`
  console.log([`${counted.fail > 0 ? 'not ok' : 'ok'} - ${file} # ${took}${how}`, ...shown].join('\n'))
  return counted
}

/** Runs one suite; the answer is what tap counted in all its files. */
async function run(name) {
  const { jobs, seconds, ...chosen } = suite(name)
  const files = filesOf(chosen)
  console.log(`== ${name}: ${files.length} files`)
  const started = Date.now()
  const counts = []
  const worker = async () => {
    for (let file = files.shift(); file; file = files.shift()) counts.push(await runFile(file, seconds))
  }
  await Promise.all(Array.from({ length: jobs }, worker))
  const counted = sum(counts)
  console.log(`== ${name}: ${inWords(counted)}, in ${Math.round((Date.now() - started) / 1000)} s`)
  return counted
}

function sum(counts) {
  const total = (key) => counts.reduce((so, counted) => so + counted[key], 0)
  return { pass: total('pass'), fail: total('fail'), skip: total('skip') }
}

function inWords({ pass, fail, skip }) {
  return `${pass} passed, ${fail} failed${skip > 0 ? `, ${skip} skipped` : ''}`
}

const HELP = `node scripts/test.js [NAME...]
NAME is unit, oracle or boot, or a path below test/, such as long/kills. Without one: these three.`

/** Says what is wrong with the names, or how they are written; undefined where there is nothing to say. */
function words(names) {
  if (names.some((name) => name === '--help' || name === '-h')) return { text: HELP, code: 0 }
  const unknown = names.find((name) => name.startsWith('-') || filesOf(suite(name)).length === 0)
  return unknown === undefined ? undefined : { text: `there are no tests in ${unknown}\n${HELP}`, code: 2 }
}

const names = process.argv.slice(2)
const said = words(names)
if (said) {
  console.error(said.text)
  process.exit(said.code)
}
compile()
const counts = []
for (const name of names.length > 0 ? names : Object.keys(SUITES)) counts.push(await run(name))
const { pass, fail, skip } = sum(counts)
if (skip > 0) console.log(`${skip} skipped, as named above`)
console.log(`${pass} passed, ${fail} failed`)
process.exitCode = fail > 0 || pass === 0 ? 1 : 0
