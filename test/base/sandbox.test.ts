import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { silent } from '../../src/base/progress.js'
import { APPARMOR_PROFILE, refusesNamespace, sandboxArguments } from '../../src/base/sandbox.js'
import { systemTools, type ToolCall, treeTools } from '../../src/base/tool.js'
import type { ToolError } from '../../src/base/tool-errors.js'
import { Store, storeFolder } from '../../src/store/store.js'
import { openCheckTools } from '../../src/tools/lab-tools.js'
import { usesSystemTools } from '../../src/tools/tools.js'
import { needTools, skipAloud } from '../support/tools.js'

const failure = (work: Promise<unknown>): Promise<ToolError> =>
  work.then(
    () => Promise.reject(new Error('it did not fail')),
    (error) => error,
  )

const request = { network: false, root: true }

t.test('a folder of the tree that holds the place of a bind is made anew, and only that one', async (t) => {
  const tree = t.testdir({
    usr: { bin: { sh: '' }, lib: { deep: { 'a.so': '' }, 'b.so': '' }, share: {}, src: {} },
    etc: { conf: '' },
    var: {},
    bin: t.fixture('symlink', 'usr/bin'),
  })
  const seen = (...paths: string[]) => {
    const argv = sandboxArguments({ ...request, tree, binds: paths.map((path) => ({ path })) })
    const shown = argv.slice(argv.indexOf('--unshare-net') + 1, argv.indexOf('--dev'))
    return shown.join(' ').replaceAll(tree, '')
  }
  t.equal(seen('/home/a', '/usrlocal'), '--symlink usr/bin /bin --ro-bind /etc /etc --ro-bind /usr /usr')
  t.equal(
    seen('/usr/local/x y', '/etc/keys/a'),
    '--symlink usr/bin /bin --dir /etc --ro-bind /etc/conf /etc/conf --dir /usr --ro-bind /usr/bin /usr/bin ' +
      '--ro-bind /usr/lib /usr/lib --ro-bind /usr/share /usr/share --ro-bind /usr/src /usr/src',
  )
  t.match(seen('/usr/lib/deep/store'), /--dir \/usr\/lib\/deep --ro-bind \/usr\/lib\/deep\/a.so/)
  t.notMatch(seen('/usr/src'), /bind \/usr\/src/, 'an empty folder of the tree gives way')
  for (const path of ['/', '/usr', '/usr/bin', '/bin', '/usr/bin/sh', '/etc', '/proc/1', '/dev', '/dev/sda'])
    t.throws(() => seen(path), { code: 'cannot-bind', message: `${path} cannot be shown` }, path)
})

t.test("bubblewrap's words where there are no namespaces", async (t) => {
  for (const words of [
    'bwrap: No permissions to create new namespace, likely because the kernel does not allow it.',
    'bwrap: No permissions to creating new namespace, likely because the kernel does not allow it.',
    'bwrap: Creating new namespace failed: nesting depth or /proc/sys/user/max_*_namespaces exceeded (ENOSPC)',
    'bwrap: setting up uid map: Permission denied',
  ])
    t.ok(refusesNamespace(words), words)
  t.notOk(refusesNamespace("bwrap: Can't find source path /x: No such file or directory"))
})

t.test('in a real sandbox', { timeout: 600_000 }, async (t) => {
  if (!needTools(t, 'bwrap', 'mmdebstrap')) return
  if (usesSystemTools()) return skipAloud(t, 'KEYVISOR_TOOLS=system has no trees')
  const store = await Store.open(storeFolder())
  await openCheckTools({ store, progress: silent })
  const trees = join(realpathSync(store.folder), 'trees')
  const tree = join(
    trees,
    readdirSync(trees).find((name) => existsSync(join(trees, name, 'etc/mke2fs.conf'))) as string,
  )
  const inside = (script: string, rest: Partial<ToolCall> = {}) =>
    treeTools(tree).run({ tool: 'sh', args: ['-c', script], ...rest })

  t.test('folders are seen wherever they are', async (t) => {
    const parents = ['/usr/local', '/usr/lib', '/lib', '/etc', '/bin', '/tmp', '/dev/shm', '/var/tmp', '/opt']
    for (const parent of process.getuid?.() === 0 ? parents : ['/tmp', '/dev/shm', '/var/tmp']) {
      const folder = mkdtempSync(join(parent, "keyvisor it's-"))
      t.teardown(() => rmSync(folder, { recursive: true }))
      writeFileSync(join(folder, 'file'), 'text')
      const binds = [{ path: folder, write: true }]
      const script = 'cat file > copy; ls /usr/bin/sh /etc/mke2fs.conf > /dev/null'
      await inside(script, { binds, cwd: folder })
      t.equal(readFileSync(join(folder, 'copy'), 'utf8'), 'text', parent)
      const image = [{ path: join(folder, 'file') }]
      t.equal(
        (await inside('cat "$0"', { binds: image, args: ['-c', 'cat "$0"', `${folder}/file`] })).stdout,
        'text',
      )
      // As scripts in a namespace get it.
      const argv = treeTools(tree).argv({ tool: 'cat', args: [`${folder}/file`], binds })
      if (process.getuid?.() === 0)
        t.equal(
          execFileSync(argv[0] as string, argv.slice(1), { encoding: 'utf8' }),
          'text',
          `${parent}, in a script`,
        )
    }
  })

  t.test('what never ran is told from what said no', async (t) => {
    const missing = join(t.testdirName, 'no-such')
    t.match(await failure(inside('exit 1', { binds: [{ path: missing }] })), {
      code: 'tool-unstarted',
      message: /^sh could not be started\n(.*\n)*.*bwrap: Can't find source path/,
      status: undefined,
    })
    t.match(await failure(inside('echo "bwrap: no" >&2; exit 1')), { code: 'tool-failed', status: 1 })
    t.match(await failure(inside('kill -SEGV $$')), {
      code: 'tool-killed',
      signal: 'SIGSEGV',
      status: undefined,
    })
    t.match(await failure(inside('sleep 9', { timeout: 0.3 })), { code: 'tool-timeout', status: undefined })
    const lost = treeTools(tree).run({ tool: 'keyvisor-none', args: [] })
    t.match(await failure(lost), {
      code: 'tool-missing',
      message: `keyvisor-none is not in the tools tree ${tree}`,
    })
    t.match(await failure(inside(':', { binds: [{ path: '/' }] })), { code: 'cannot-bind' })
    const much = { tool: 'true', args: ['x'.repeat(200_000)] }
    t.match(await failure(systemTools.run(much)), {
      code: 'tool-unstarted',
      message: /arguments are too long/,
    })
    const file = join(t.testdir({ program: '#!/bin/sh\n' }), 'program')
    chmodSync(file, 0o644)
    t.match(await failure(systemTools.run({ tool: file, args: [] })), { code: 'tool-unstarted' })
  })

  t.test('a machine that makes no namespaces is said to be one', async (t) => {
    if (process.getuid?.() !== 0) return skipAloud(t, 'only root can take namespaces from itself')
    const limit = '/proc/sys/user/max_user_namespaces'
    // In a user namespace of its own, which it may give a limit.
    const script = `echo 0 > ${limit}; exec bwrap --unshare-user --ro-bind / / true`
    const call = {
      tool: 'unshare',
      args: ['--user', '--map-root-user', '--mount-proc', '--pid', '--fork', 'sh', '-c', script],
    }
    const error = await failure(systemTools.run(call))
    const words = error.message.replace(/^ {2}\| /gm, '')
    t.ok(refusesNamespace(words), words)
    t.match(APPARMOR_PROFILE, /keyvisor-bwrap/)
  })

  t.test('works where our own folder is gone', async (t) => {
    const folder = join(t.testdir(), 'gone')
    mkdirSync(folder)
    const here = process.cwd()
    process.chdir(folder)
    rmSync(folder, { recursive: true })
    const outputs = await Promise.all([inside('pwd'), systemTools.run({ tool: 'pwd', args: [] })]).finally(
      () => process.chdir(here),
    )
    for (const { stdout } of outputs) t.equal(stdout, '/\n')
  })
})
