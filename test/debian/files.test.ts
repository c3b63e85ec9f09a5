import { chmodSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { canonicalJson, sha256 } from '../../src/base/digests.js'
import { systemTools } from '../../src/base/tool.js'
import {
  keyedFiles,
  moduleClosure,
  overlayEntries,
  plannedEntries,
  type TarEntry,
  writeTar,
} from '../../src/debian/files.js'
import { needTools } from '../support/tools.js'

const EPOCH = 1_750_000_000

const text = (target: string, content: string, rest: Partial<TarEntry> = {}): TarEntry => ({
  target,
  mode: 0o644,
  owner: 'root:root',
  from: { text: content },
  ...rest,
})

const list = async (tar: string, ...args: string[]) =>
  (await systemTools.run({ tool: 'tar', args: ['-tvf', tar, '--utc', '--full-time', ...args] })).stdout
    .trimEnd()
    .split('\n')
    .map((line) => line.replace(/ +/g, ' '))

t.test('GNU tar lists owners, modes, times and links as they were given', async (t) => {
  if (!needTools(t, 'tar')) return
  const folder = t.testdir({ source: 'from a file' })
  const tar = join(folder, 'files.tar')
  const deep = `/${'long-name/'.repeat(15)}ä`
  await writeTar(
    [
      text('/etc/b', 'bytes', { mode: 0o440, owner: 'libvirt-qemu:kvm' }),
      text('/etc/a', 'ä', { owner: '1000:2000' }),
      text('/usr/bin/run', '', { mode: 0o4755, from: { file: join(folder, 'source') } }),
      text('/etc/none', '', { mode: 0 }),
      text('/etc/link', '', { mode: 0o777, from: { link: '../run/target' } }),
      text(deep, 'x', { owner: 'ada' }),
    ],
    EPOCH,
    tar,
  )
  const when = '2025-06-15 15:06:40'
  t.strictSame(await list(tar, '--quoting-style=literal'), [
    `-rw-r--r-- 1000/2000 2 ${when} etc/a`,
    `-r--r----- libvirt-qemu/kvm 5 ${when} etc/b`,
    `lrwxrwxrwx root/root 0 ${when} etc/link -> ../run/target`,
    `---------- root/root 0 ${when} etc/none`,
    `-rw-r--r-- ada/ada 1 ${when} ${deep.slice(1)}`,
    `-rwsr-xr-x root/root 11 ${when} usr/bin/run`,
  ])
  const { stdout } = await systemTools.run({ tool: 'tar', args: ['-xOf', tar, 'usr/bin/run', 'etc/a'] })
  t.equal(stdout, 'äfrom a file')
})

t.test('the same entries give the same bytes, in whatever order they come', async (t) => {
  const folder = t.testdir()
  const entries = [text('/b', 'B'), text('/a', 'A'), text('/c', 'C')]
  const one = await writeTar(entries, EPOCH, join(folder, 'one.tar'))
  const two = await writeTar(entries.toReversed(), EPOCH, join(folder, 'two.tar'))
  const bytes = readFileSync(join(folder, 'one.tar'))
  t.equal(one, sha256(bytes), 'the digest is that of the file')
  t.equal(two, one)
  t.ok(bytes.equals(readFileSync(join(folder, 'two.tar'))))
  t.not(await writeTar(entries, EPOCH + 1, join(folder, 'three.tar')), one)
})

t.test('of two entries for one place the later wins', async (t) => {
  if (!needTools(t, 'tar')) return
  const tar = join(t.testdir(), 'files.tar')
  await writeTar([text('/etc/a', 'old'), text('/etc/a', 'newer', { mode: 0o600 })], EPOCH, tar)
  t.equal((await list(tar)).length, 1)
  t.match((await list(tar))[0], /^-rw------- .* 5 /)
})

t.test('a key changes with content, mode, owner and place, and with nothing else', async (t) => {
  const folder = t.testdir({ same: 'A', moved: 'A' })
  const from = (name: string): TarEntry => text('/a', '', { from: { file: join(folder, name) } })
  const key = async (...entries: TarEntry[]) =>
    (await keyedFiles(entries, [])).toJSON() as Record<string, string>
  const base = await key(from('same'), text('/b', 'B'))
  t.strictSame(await key(text('/b', 'B'), from('moved')), base)
  t.strictSame(Object.keys(base), ['/a', '/b'])
  const others = await Promise.all([
    key(text('/a', 'B'), text('/b', 'B')),
    key({ ...from('same'), mode: 0o600 }, text('/b', 'B')),
    key({ ...from('same'), owner: 'ada:ada' }, text('/b', 'B')),
    key({ ...from('same'), target: '/c' }, text('/b', 'B')),
    key(from('same'), text('/b', '', { from: { link: 'B' } })),
    key(from('same')),
  ])
  t.equal(new Set([base, ...others].map((each) => canonicalJson(each))).size, others.length + 1)
  t.not(others[0]?.['/a'], base['/a'])
  t.equal(others[0]?.['/b'], base['/b'], 'each entry has a digest of its own')
})

t.test("the user's files are keyed by their bytes, not by where they lie", async (t) => {
  const folder = t.testdir({ one: 'A', two: 'A', three: 'B' })
  const own = (name: string) => [
    { source: join(folder, name), target: '/a', mode: 0o644, owner: 'root:root' },
  ]
  const one = await keyedFiles([], own('one'))
  t.strictSame((await keyedFiles([], own('two'))).toJSON(), one.toJSON())
  t.notSame((await keyedFiles([], own('three'))).toJSON(), one.toJSON())
  t.strictSame(one.value, { overlay: [], own: own('one') })
})

t.test('a file that cannot be read or written is an error, not a crash', async (t) => {
  const folder = t.testdir()
  const gone = text('/a', '', { from: { file: join(folder, 'none') } })
  await t.rejects(writeTar([gone], EPOCH, join(folder, 'files.tar')), { code: 'ENOENT' })
  // A disk without room (full(4)).
  await t.rejects(writeTar([text('/a', 'x'.repeat(1 << 20))], EPOCH, '/dev/full'), { code: 'ENOSPC' })
})

t.test('an overlay folder is the root: executables stay so, links stay links', async (t) => {
  const folder = t.testdir({ etc: { 'a.conf': '', hook: '' }, usr: { lib: { x: '' } } })
  chmodSync(join(folder, 'etc/hook'), 0o700)
  chmodSync(join(folder, 'etc/a.conf'), 0o600)
  symlinkSync('../a.conf', join(folder, 'etc/link'))
  mkdirSync(join(folder, 'empty'))
  const entries = await overlayEntries(folder)
  t.match(entries, [
    { target: '/etc/a.conf', mode: 0o644, owner: 'root:root', from: { file: join(folder, 'etc/a.conf') } },
    { target: '/etc/hook', mode: 0o755 },
    { target: '/etc/link', from: { link: '../a.conf' } },
    { target: '/usr/lib/x', mode: 0o644 },
  ])
  t.equal(entries.length, 4)
})

t.test("the user's files go where the plan says", async (t) => {
  const planned = { source: '/profiles/a', target: '/etc/a', mode: 0o600, owner: 'ada:ada' }
  t.strictSame(plannedEntries([planned]), [
    { target: '/etc/a', mode: 0o600, owner: 'ada:ada', from: { file: '/profiles/a' } },
  ])
})

t.test('a module brings all that it imports, and nothing else', async (t) => {
  const folder = t.testdir({
    stick: {
      'main.js': "import { a } from './a.js'\nimport * as os from 'os'\nexport { b } from '../plan/b.js'\n",
      'a.js': "import {\n  b,\n} from '../plan/b.js'\n",
      'unused.js': '',
    },
    plan: { 'b.js': "import { a } from '../stick/a.js'\n" },
  })
  t.strictSame(await moduleClosure(folder, 'stick/main.js'), ['plan/b.js', 'stick/a.js', 'stick/main.js'])
  writeFileSync(join(folder, 'plan/b.js'), "import { c } from './c.js'\n")
  await t.rejects(moduleClosure(folder, 'stick/main.js'), { code: 'ENOENT' })
})
