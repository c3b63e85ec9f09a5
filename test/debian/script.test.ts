import { existsSync, readdirSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { fileError } from '../../src/base/file-errors.js'
import { MiB, TiB } from '../../src/base/units.js'
import { memoryFor, runInNamespace } from '../../src/debian/script.js'
import { needTools } from '../support/tools.js'

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

t.test('a signal that ends a tool of a script is told as one', async (t) => {
  if (!needTools(t, 'unshare')) return
  const folder = t.testdir({ 'script.sh': "sh -c 'kill -XFSZ $$'" })
  const tree = { folder: join(folder, 'tree'), from: [] }
  const error = await runInNamespace({ path: join(folder, 'script.sh'), env: {}, tree }).catch(
    (error) => error,
  )
  t.match(error, {
    code: 'tool-killed',
    signal: 'SIGXFSZ',
    message: /^script\.sh failed \(ended by SIGXFSZ\)/,
  })
  t.match(fileError(error), { code: 'file-limit' })
})
