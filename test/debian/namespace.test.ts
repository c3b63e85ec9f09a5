import { chmodSync, existsSync, mkdirSync, readdirSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { KeyvisorError } from '../../src/base/errors.js'
import { MiB, TiB } from '../../src/base/units.js'
import {
  APPARMOR_PROFILE,
  memoryFor,
  packageFile,
  refusal,
  removeScratch,
  runInNamespace,
} from '../../src/debian/namespace.js'
import { needTools } from '../tools.js'

const failed = (text: string) => new KeyvisorError('tool-failed', `unshare failed (exit code 1)\n  | ${text}`)

t.test("unshare's refusals become something to do", async (t) => {
  // Each as util-linux 2.38 to 2.41 and shadow's newuidmap print it.
  const noIds = [
    'unshare: no line matching user "ada" in /etc/subuid: Success',
    'unshare: no line matching user "ada" in /etc/subgid',
    "unshare: you (user 54321) don't exist.",
    'newuidmap: uid range [0-65536) -> [100000-165536) not allowed',
  ]
  for (const line of noIds) {
    t.match(
      refusal(failed(line)),
      { code: 'namespace-refused', message: /subordinate ids/, hint: /usermod/ },
      line,
    )
  }
  const forbidden = [
    'unshare: unshare failed: Operation not permitted',
    'unshare: unshare failed: No space left on device',
    'unshare: unshare failed: Permission denied',
    'unshare: write failed /proc/self/uid_map: Operation not permitted',
    'unshare: cannot change root filesystem propagation: Permission denied',
    'unshare: mount /proc failed: Operation not permitted',
    'unshare: mount /proc failed: Permission denied',
  ]
  for (const line of forbidden) {
    const error = refusal(failed(line))
    t.match(error, { code: 'namespace-refused', hint: /build as root/ }, line)
    t.match(error?.hint, APPARMOR_PROFILE, 'with the profile to install')
  }
})

t.test("a script's own failure is its own", async (t) => {
  for (const line of [
    'mkdir: No space left on device',
    'cp: Permission denied',
    'E: Operation not permitted',
  ]) {
    t.equal(refusal(failed(line)), undefined, line)
  }
  t.equal(refusal(new KeyvisorError('interrupted', 'unshare: unshare failed: Permission denied')), undefined)
})

t.test('a script is root of its namespace, with its own environment and processes', async (t) => {
  if (!needTools(t, 'unshare')) return
  const folder = t.testdir()
  const path = join(folder, 'script.sh')
  const lines: string[] = []
  writeFileSync(path, 'echo "$(id -u) $GIVEN"; test $$ -lt 10; test -d /proc/1; umask')
  const tree = { folder: join(folder, 'tree'), from: [path] }
  await runInNamespace({ path, env: { GIVEN: 'here' }, tree, onLine: (line) => lines.push(line) })
  t.strictSame(lines, ['0 here', '0022'])
})

t.test('a tree lies in memory where that leaves the others enough, else on the disk', async (t) => {
  t.equal(memoryFor(100 * MiB, 1800 * MiB), 1200 * MiB)
  t.equal(memoryFor(100 * MiB, 1800 * MiB - 1), 0)
  if (!needTools(t, 'unshare')) return
  const folder = t.testdir({ small: 'x'.repeat(1000) })
  const path = join(folder, 'script.sh')
  writeFileSync(
    path,
    'mountpoint -q "$TREE" && stat -f -c %T "$TREE" || echo disk; stat -c "%a %u" "$TREE"; : > "$TREE/file"',
  )
  const small = join(folder, 'small')
  const large = join(folder, 'large')
  writeFileSync(large, '')
  truncateSync(large, 8 * TiB)
  const typeOn = async (name: string, from: string[]) => {
    const lines: string[] = []
    const tree = { folder: join(folder, name), from }
    await runInNamespace({ path, env: {}, tree, onLine: (line) => lines.push(line) })
    t.equal(lines[1], '755 0', 'whose it is, and who may see it')
    return lines[0]
  }
  t.equal(await typeOn('memory', [small, small]), 'tmpfs')
  t.equal(await typeOn('disk', [small, large]), 'disk')
  for (const name of ['memory', 'disk']) t.strictSame(readdirSync(join(folder, name)), [], 'its room is free')
})

t.test('a script fails at its first failing command, or at a variable that nobody set', async (t) => {
  if (!needTools(t, 'unshare')) return
  const folder = t.testdir()
  const path = join(folder, 'script.sh')
  for (const [index, line] of ['false', 'echo "$NOBODY_SET_IT"'].entries()) {
    writeFileSync(path, `${line}\n: > ${folder}/reached\n`)
    const tree = { folder: join(folder, `tree${index}`), from: [path] }
    const failing = runInNamespace({ path, env: {}, tree })
    await t.rejects(failing, {
      code: 'tool-failed',
      message: `, at work in ${tree.folder}`,
      hint: /own words/,
    })
    const { message } = (await failing.catch((error) => error)) as Error
    t.notMatch(message, /umask|TREE|unshare/, 'its text is no use to anybody')
    t.notOk(existsSync(join(folder, 'reached')))
  }
})

t.test('scratch is removed with all that is in it; what is gone is no failure', async (t) => {
  if (!needTools(t, 'unshare')) return
  const folder = t.testdir()
  const scratch = join(folder, '-odd name')
  mkdirSync(join(scratch, 'deep'), { recursive: true })
  writeFileSync(join(scratch, 'deep', 'file'), '')
  chmodSync(join(scratch, 'deep'), 0o500)
  await removeScratch(scratch, join(folder, 'none'))
  t.notOk(existsSync(scratch))
  await removeScratch()
})

t.test('files beside the sources are found', async (t) => {
  for (const path of ['package.json', 'src/debian/tree.sh', 'src/host/overlay'])
    t.ok(existsSync(packageFile(path)))
})
