/**
 * Runs tests and counts them: `node scripts/test.js [NAME...]`, where NAME is a suite below, or a path below test/.
 * Without a name: everything but the long tests.
 *
 * The last line is `N passed, N failed`, over all runs; the exit code is not 0 when anything failed.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))

/** Each is one run of tap. Builds and boots need the whole machine, so those run one after the other. */
const SUITES = {
  unit: { without: ['test/oracle/', 'test/boot/', 'test/long/'], options: ['--jobs=2'] },
  oracle: { below: 'test/oracle/', options: ['--jobs=1', '--timeout=1800'] },
  boot: { below: 'test/boot/', options: ['--jobs=1', '--timeout=3600'] },
}
const LONG = { options: ['--jobs=1', '--timeout=7200'] }

const all = readdirSync(join(root, 'test'), { recursive: true, encoding: 'utf8' })
  .filter((path) => path.endsWith('.test.ts'))
  .map((path) => `test/${path}`)
  .sort()

function suite(name) {
  return SUITES[name] ?? { ...LONG, below: `test/${name}` }
}

function filesOf({ below = 'test/', without = [] }) {
  return all.filter((path) => path.startsWith(below) && !without.some((other) => path.startsWith(other)))
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

/** Of tap's whole stream, what a person reads: a line for each file, and everything about what failed. */
function worthShowing() {
  let failing = false
  return (line) => {
    if (/^\s*not ok /.test(line)) failing = true
    else if (/^\s*(ok |# Subtest|1\.\.)/.test(line)) failing = false
    return failing || /^(ok|Bail out)/.test(line)
  }
}

/** Runs one suite with its progress on the screen; the answer is what tap counted. */
async function run(name) {
  const files = filesOf(suite(name))
  if (files.length === 0) throw new Error(`there are no tests in ${name}`)
  console.log(`== ${name}: ${files.length} files`)
  const args = ['--reporter=tap', ...suite(name).options, ...files]
  const tap = spawn(join(root, 'node_modules/.bin/tap'), args, {
    cwd: root,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const show = worthShowing()
  let counted
  for await (const line of createInterface({ input: tap.stdout })) {
    counted = count(line) ?? counted
    if (show(line)) console.log(line)
  }
  const status = tap.exitCode ?? (await once(tap, 'close'))[0]
  counted ??= { pass: 0, fail: 1, skip: 0 }
  // A file that ended early fails the run, whatever its assertions said.
  return status !== 0 && counted.fail === 0 ? { ...counted, fail: 1 } : counted
}

const names = process.argv.slice(2)
const counts = []
for (const name of names.length > 0 ? names : Object.keys(SUITES)) counts.push(await run(name))
const sum = (key) => counts.reduce((total, counted) => total + counted[key], 0)
if (sum('skip') > 0) console.log(`${sum('skip')} skipped, as named above`)
console.log(`${sum('pass')} passed, ${sum('fail')} failed`)
process.exitCode = sum('fail') > 0 || sum('pass') === 0 ? 1 : 0
