/** Odd surroundings: streams that fail, folders that are gone, files that are none, empty arguments. */
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, rmdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { columnsOf } from '../../src/cli/terminal.js'
import { keyvisor } from '../support/command.js'
import { needTools } from '../support/tools.js'

const PROGRAM = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url))

/** Runs a script of sh(1) in which `keyvisor` is the compiled command line. */
function shell(script: string, env: Record<string, string> = {}) {
  const { PATH = '', HOME = '' } = process.env
  // tap's own modules, which it puts into every child, do not start in a folder that is gone.
  const whole = `unset NODE_OPTIONS; keyvisor() { "$NODE" "$PROGRAM" "$@"; }; ${script}`
  const ended = spawnSync('sh', ['-c', whole], {
    encoding: 'utf8',
    env: { PATH, HOME, NODE: process.execPath, PROGRAM, ...env },
    timeout: 60_000,
  })
  return { code: ended.status, stdout: ended.stdout, stderr: ended.stderr }
}

const isClean = (text: string) => !/at .*\(|node:internal|Error:|this is a bug/.test(text)

t.test('an answer that cannot be written is said, and a pipe that closes is no error', async (t) => {
  for (const args of ['--help', 'help plan', 'validate none.yaml --json', 'inspect none --json']) {
    const { code, stderr } = shell(`keyvisor ${args} > /dev/full`)
    t.equal(code, 1, args)
    t.match(stderr, /^keyvisor: the answer cannot be written: ENOSPC/, args)
    t.ok(isClean(stderr), stderr)
  }
  t.equal(shell('keyvisor --help 2> /dev/full').code, 0)
  t.equal(shell('keyvisor inspect none 2> /dev/full').code, 1)
  t.match(shell('{ keyvisor --help; echo "$?" >&2; } | true'), { code: 0, stderr: '0\n' })
  t.match(shell('exec 3>&1; { keyvisor inspect none 2>&1; echo "$?" >&3; } | true'), { stdout: '1\n' })
})

t.test('a reader who goes away changes nothing about how the work ends', async (t) => {
  const ending = (args: string) => shell(`exec 3>&1; { keyvisor ${args}; echo "$?" >&3; } | true`)
  for (const args of ['inspect none --json', 'store prune --json', 'validate none.yaml --json']) {
    const { code } = shell(`keyvisor ${args}`)
    t.ok(code, args)
    t.match(ending(args), { stdout: `${code}\n`, stderr: '' }, args)
  }
})

t.test('streams that are closed', async (t) => {
  const profile = fileURLToPath(new URL('../../profiles/demo.yaml', import.meta.url))
  const calls = { '--help': 0, [`validate '${profile}'`]: 0, 'inspect none': 1, nonsense: 2 }
  for (const [args, code] of Object.entries(calls)) {
    for (const closed of ['>&-', '2>&-', '>&- 2>&-', '<&- >&- 2>&-']) {
      const ended = shell(`keyvisor ${args} ${closed}`)
      t.equal(ended.code, code, `${args} ${closed}`)
      t.ok(isClean(ended.stdout + ended.stderr), ended.stderr)
    }
  }
  t.match(shell('keyvisor inspect none >&-').stderr, /^keyvisor: none does not exist\n/)
  t.match(shell('keyvisor --help 2>&-').stdout, /^Usage: keyvisor/)
})

t.test('a limit on the size of files', async (t) => {
  if (!needTools(t, 'mmdebstrap', 'apt-get')) return
  const mirror = 'host: { mirror: "http://127.0.0.1:1/debian" }'
  const folder = t.testdir({ 'a.yaml': `version: 1\nname: a\n${mirror}\n`, store: {} })
  const locked = shell(`cd '${folder}' && ulimit -f 100 && keyvisor lock a.yaml`, {
    KEYVISOR_STORE: join(folder, 'store'),
  })
  t.match(locked, { code: 1, stderr: /keyvisor: the file gets larger than is allowed there\napt-get failed/ })
  t.match(locked.stderr, /hint: .*"ulimit -f"/)
  t.notOk(existsSync(join(folder, 'a.lock.json')))
  t.strictSame(readdirSync(join(folder, 'store/tmp')), [], 'nothing is left half-written')
})

t.test('a current folder that is gone', async (t) => {
  const folder = join(t.testdir(), 'gone')
  const gone = (args: string, env?: Record<string, string>) => {
    mkdirSync(folder)
    return shell(`cd '${folder}' && rmdir '${folder}' && keyvisor ${args}`, env)
  }
  t.match(gone('inspect a.img'), { code: 1, stderr: /a.img does not exist/ })
  t.match(gone('init a.yaml'), { code: 1, stderr: /a.yaml cannot be written/ })
  t.match(gone('store ls', { KEYVISOR_STORE: 'here' }), {
    code: 1,
    stderr:
      'keyvisor: the current folder is gone\n  hint: go to one that is there with cd, or give absolute paths\n',
  })
  const profile = fileURLToPath(new URL('../../profiles/demo.yaml', import.meta.url))
  t.match(gone(`validate '${profile}'`), { code: 0, stdout: /valid/ })
  t.throws(() => rmdirSync(folder))
})

t.test('files that are none', { timeout: 300_000 }, async (t) => {
  const folder = t.testdir()
  const fifo = join(folder, 'fifo')
  execFileSync('mkfifo', [fifo])
  const env = { KEYVISOR_STORE: join(folder, 'store') }
  const verbs = ['validate', 'plan', 'build', 'lock', 'inspect', 'run', 'test']
  const calls = [...verbs.map((verb) => [verb, fifo]), ['diff', fifo, fifo]]
  calls.push(['test', 'a.img', '--walk', '--machines', fifo])
  for (const args of calls) {
    const { code, stdout, stderr } = await keyvisor(args, { env })
    t.ok(code === 1 || code === 2, `${args[0]}: ${code}`)
    t.match(stdout + stderr, /is a pipe, not a regular file/, args[0] as string)
  }
  t.match(await keyvisor(['inspect', '/dev/zero'], { env }), { code: 1, stderr: /is a device/ })
  t.match(await keyvisor(['inspect', folder], { env }), { code: 1, stderr: /is a folder/ })
})

t.test('empty arguments', async (t) => {
  t.match(await keyvisor(['validate', '']), { code: 2, stderr: /^keyvisor: an argument is empty/ })
  t.match(await keyvisor(['build', 'a', '--out', '']), { code: 2, stderr: /^keyvisor: --out is empty/ })
  t.match(await keyvisor(['lock', 'a', '--lock', '']), { code: 2, stderr: /^keyvisor: --lock is empty/ })
  const sign = ['build', 'a', '--sign', 'k', '--sign-password', '']
  t.match(await keyvisor(sign), { code: 2, stderr: /^keyvisor: --sign-password is empty/ })
})

t.test('odd names are names', async (t) => {
  for (const name of ['a\nb', 'a%20b', 'a b', `a'b"c`, 'ä→', '-', 'x'.repeat(300), '/x'.repeat(3000)]) {
    const { code, stdout, stderr } = await keyvisor(['validate', '--', name])
    t.equal(code, 2, name.slice(0, 20))
    t.ok(isClean(stdout + stderr), stderr)
  }
  const folder = t.testdir({ [`odd 'n"%a\nö`]: { 'p.yaml': 'version: 1\nname: demo\n' } })
  const profile = join(folder, `odd 'n"%a\nö`, 'p.yaml')
  t.match(await keyvisor(['validate', profile]), { code: 0 })
})

t.test('a terminal of 0 columns', async (t) => {
  t.equal(columnsOf({ columns: 0 }), 80)
  t.equal(columnsOf({}), 80)
  t.equal(columnsOf({ columns: 132 }), 132)
})

t.test('no home, or an odd one', async (t) => {
  const ls = (env: Record<string, string>) => keyvisor(['store', 'ls'], { env })
  t.match(await ls({ HOME: 'rel' }), { code: 1, stderr: /HOME is "rel", which is not an absolute path/ })
  t.match(await ls({ HOME: '/proc/none' }), { code: 1, stderr: /cannot be written/ })
  if (process.getuid?.() !== 0) return
  const nobody = 'setpriv --reuid 12345 --clear-groups env -u HOME "$NODE" "$PROGRAM" store ls'
  t.match(shell(nobody), {
    code: 1,
    stderr: /user 12345 has no entry in \/etc\/passwd\n {2}hint: set KEYVISOR_STORE/,
  })
})
