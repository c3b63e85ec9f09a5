import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import t from 'tap'
import { Interrupted, type KeyvisorError } from '../../src/base/errors.js'
import { silent } from '../../src/base/progress.js'
import { systemTools, type ToolCall, which } from '../../src/base/tool.js'
import { lastWords } from '../../src/base/tool-errors.js'
import { Store, storeFolder } from '../../src/store/store.js'
import { openCheckTools } from '../../src/tools/lab-tools.js'
import { usesSystemTools } from '../../src/tools/tools.js'
import { needTools, skipAloud } from '../support/tools.js'

const sh = (script: string, rest: Partial<ToolCall> = {}) =>
  systemTools.run({ tool: 'sh', args: ['-c', script], ...rest })

const failure = (work: Promise<unknown>): Promise<KeyvisorError> =>
  work.then(
    () => Promise.reject(new Error('it did not fail')),
    (error) => error,
  )

/** Pids of processes whose command line holds the word. */
function living(word: string): string[] {
  return readdirSync('/proc').filter((pid) => /^\d+$/.test(pid) && commandLine(pid).includes(word))
}

function commandLine(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8')
  } catch {
    return '' // It ended while we looked.
  }
}

async function until(what: () => boolean, seconds = 5): Promise<boolean> {
  for (const end = Date.now() + seconds * 1000; Date.now() < end; ) {
    if (what()) return true
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  return what()
}

/** A number of seconds that no other process of this machine sleeps. */
let sleepers = 0
const sleepWord = () => `${process.pid}.${++sleepers}`

t.test('a tool that ends well gives its output', async (t) => {
  t.strictSame(await sh('echo out; echo err >&2'), { stdout: 'out\n', stderr: 'err\n' })
})

t.test('input reaches a tool, and lines are told as they come', async (t) => {
  const lines: string[] = []
  const { stdout } = await sh('cat; printf last', { input: 'ä\nb\n', onLine: (line) => lines.push(line) })
  t.equal(stdout, 'ä\nb\nlast')
  t.strictSame(lines, ['ä', 'b', 'last'])
})

t.test('a stream reaches a tool, and its output a file', async (t) => {
  const path = join(t.testdir(), 'out')
  const output = await open(path, 'w')
  const chunks = Array.from({ length: 40 }, (_, index) => Buffer.alloc(100_000, index))
  t.strictSame(await sh('cat; echo err >&2', { input: Readable.from(chunks), output }), {
    stdout: '',
    stderr: 'err\n',
  })
  await output.close()
  t.ok(readFileSync(path).equals(Buffer.concat(chunks)))
})

t.test('a stream that is not read to its end is let go', async (t) => {
  const endless = new Readable({ read: () => void endless.push(Buffer.alloc(65_536)) })
  t.match(await failure(sh('exit 4', { input: endless })), { code: 'tool-failed' })
  t.ok(endless.destroyed)
})

t.test('a tool that does not read its input is no failure', async (t) => {
  await sh('exit 0', { input: Buffer.alloc(10 << 20) })
  t.match(await failure(sh('exit 4', { input: Buffer.alloc(10 << 20) })), { code: 'tool-failed' })
})

t.test('an exit code is told, with the command and the end of what the tool said', async (t) => {
  const error = await failure(sh('seq -f "line %g" 1 40 >&2; exit 7'))
  t.match(error, { code: 'tool-failed', message: /^sh failed \(exit code 7\)\n {2}command: setpriv .*sh -c/ })
  t.match(error, { hint: /its own words say why/ })
  const shown = error.message.split('\n').filter((line) => line.startsWith('  | '))
  t.strictSame(
    lastWords(error),
    shown.map((line) => line.slice(4)),
  )
  t.strictSame(
    shown,
    Array.from({ length: 12 }, (_, index) => `  | line ${index + 29}`),
  )
})

t.test('a tool that says nothing on stderr is quoted from stdout', async (t) => {
  t.match(await failure(sh('echo wrong; exit 1')), { message: /\| wrong$/ })
})

t.test('a tool that a signal ended says which', async (t) => {
  t.match(await failure(sh('kill -SEGV $$')), {
    code: 'tool-killed',
    message: /ended by SIGSEGV/,
    hint: /memory/,
    signal: 'SIGSEGV',
    status: undefined,
  })
})

t.test('a missing program is named, with the package that has it', async (t) => {
  t.match(await failure(systemTools.run({ tool: 'keyvisor-none', args: [] })), {
    code: 'tool-missing',
    message: 'keyvisor-none is not on this machine',
    hint: /apt-get install keyvisor-none$/,
  })
  const path = join(t.testdir(), 'none')
  t.match(await failure(systemTools.run({ tool: path, args: [] })), { code: 'tool-missing' })
})

t.test('a tool that hangs is ended with its whole group', async (t) => {
  const word = sleepWord()
  const started = Date.now()
  const error = await failure(sh(`sleep ${word} & sleep ${word}`, { timeout: 0.5 }))
  t.match(error, { code: 'tool-timeout', message: /sh did not end within 0.5 s/ })
  t.ok(Date.now() - started < 5000)
  t.ok(await until(() => living(`sleep\0${word}`).length === 0), 'no sleeper is left')
})

t.test("a cancelled call ends its children's children", async (t) => {
  const word = sleepWord()
  const controller = new AbortController()
  const call = failure(sh(`sh -c "sleep ${word} & sleep ${word}; :"`, { signal: controller.signal }))
  t.ok(await until(() => living(`sleep\0${word}`).length === 2), 'both sleepers run')
  controller.abort(new Interrupted())
  t.ok((await call) instanceof Interrupted)
  t.ok(await until(() => living(`sleep\0${word}`).length === 0), 'no sleeper is left')
})

t.test('a call whose signal was aborted before does not start', async (t) => {
  const marker = join(t.testdir(), 'started')
  const controller = new AbortController()
  controller.abort()
  // As a rejection and as Interrupted, whatever the reason: callers that only look for that are right.
  t.ok((await failure(sh(`: > ${marker}`, { signal: controller.signal }))) instanceof Interrupted)
  t.notOk(existsSync(marker))
})

t.test('a tool dies with a builder that was killed', async (t) => {
  const word = sleepWord()
  const library = new URL('../../src/base/tool.ts', import.meta.url).pathname
  const script = `import { systemTools } from '${library}'
    await systemTools.run({ tool: 'sleep', args: ['${word}'] })`
  const builder = systemTools.run({
    tool: process.execPath,
    args: [...process.execArgv, '--input-type=module', '-e', script],
    cwd: new URL('../..', import.meta.url).pathname,
    env: { NODE_OPTIONS: process.env['NODE_OPTIONS'] ?? '' },
  })
  const ended = failure(builder)
  const child = () => living(`sleep\0${word}`).filter((pid) => commandLine(pid).startsWith('sleep'))
  t.ok(await until(() => child().length === 1, 20), 'the tool runs')
  const parent = /PPid:\t(\d+)/.exec(readFileSync(`/proc/${child()[0]}/status`, 'utf8'))?.[1]
  process.kill(Number(parent), 'SIGKILL')
  t.match(await ended, { message: /SIGKILL/ })
  t.ok(await until(() => child().length === 0), 'the tool is gone')
})

t.test("nothing of the user's environment reaches a tool", async (t) => {
  process.env['KEYVISOR_TEST_SECRET'] = 'x'
  process.env['TZ'] = 'Asia/Tokyo'
  t.teardown(() => {
    delete process.env['KEYVISOR_TEST_SECRET']
    delete process.env['TZ']
  })
  const { stdout } = await systemTools.run({ tool: 'env', args: [], env: { ADDED: '1' } })
  // tap's own variables are put into every child of a test, by tap.
  const names = stdout.split('\n').filter((line) => /^(?!NODE_OPTIONS|_TAPJS_)\w+=/.test(line))
  t.strictSame(names.sort(), [
    'ADDED=1',
    'HOME=/nonexistent',
    'LC_ALL=C.UTF-8',
    'PATH=/usr/sbin:/usr/bin:/sbin:/bin',
    'TZ=UTC',
  ])
})

t.test('which finds programs of the machine alone', async (t) => {
  t.equal(which('sh'), '/usr/bin/sh')
  t.equal(which('keyvisor-none'), undefined)
})

// ------------------------------------------------------------------------------------ tools from a tree

t.test('a tool from a tree', { timeout: 600_000 }, async (t) => {
  if (!needTools(t, 'bwrap', 'mmdebstrap')) return
  if (usesSystemTools()) return skipAloud(t, 'KEYVISOR_TOOLS=system has no trees')
  // The smallest in which a shell runs; fetched and unpacked on first use.
  const tools = await openCheckTools({ store: await Store.open(storeFolder()), progress: silent })
  const inside = (script: string, rest: Partial<ToolCall> = {}) =>
    tools.run({ tool: 'sh', args: ['-c', script], ...rest })
  const folder = t.testdir({ read: { file: 'text' }, write: {}, hidden: {} })
  const [read, write, hidden] = ['read', 'write', 'hidden'].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ]

  t.test('sees what is bound, and writes where it may', async (t) => {
    const binds = [{ path: read }, { path: write, write: true }]
    await inside(`cat ${read}/file > ${write}/copy`, { binds })
    t.equal(readFileSync(join(write, 'copy'), 'utf8'), 'text')
    t.match(await failure(inside(`: > ${read}/no`, { binds })), { message: /Read-only file system/ })
    t.match(await failure(inside(`ls ${hidden}`, { binds })), { message: /No such file/ })
    t.equal((await inside('pwd', { binds, cwd: read })).stdout, `${read}\n`)
  })

  t.test('may write in a folder of one that it may only read', async (t) => {
    writeFileSync(join(write, 'kept'), '')
    const binds = [{ path: write, write: true }, { path: folder }]
    await inside(`: > ${write}/new; test -f ${read}/file`, { binds })
    t.ok(existsSync(join(write, 'new')))
  })

  t.test('sees no process, no network and no environment of the machine', async (t) => {
    process.env['KEYVISOR_TEST_SECRET'] = 'x'
    t.teardown(() => delete process.env['KEYVISOR_TEST_SECRET'])
    const { stdout } = await inside('echo /proc/[0-9]*; cat /proc/net/dev; env', { env: { ADDED: '1' } })
    t.ok((stdout.match(/\/proc\/\d+/g) ?? []).length < 5, stdout)
    t.notMatch(stdout, /^\s*e(th|n)/m)
    t.match(stdout, 'ADDED=1')
    t.notMatch(stdout, 'KEYVISOR_TEST_SECRET')
  })

  t.test('is uid 0 in there, whoever builds', async (t) => {
    t.equal((await inside('id -u')).stdout, '0\n')
  })

  t.test('is ended with all that it started', async (t) => {
    const word = sleepWord()
    const controller = new AbortController()
    const call = failure(inside(`sleep ${word} & sleep ${word}`, { signal: controller.signal }))
    t.ok(await until(() => living(`sleep\0${word}`).length === 2), 'both sleepers run')
    controller.abort(new Interrupted())
    t.ok((await call) instanceof Interrupted)
    t.ok(await until(() => living(`sleep\0${word}`).length === 0), 'no sleeper is left')
  })

  t.test('shows a short command when it fails', async (t) => {
    const error = await failure(inside('echo no >&2; exit 3'))
    t.match(error, { code: 'tool-failed', message: /^sh failed \(exit code 3\)\n/ })
    t.match(error.message, '| no')
  })
})
