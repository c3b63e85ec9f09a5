import { join } from 'node:path'
import t from 'tap'
import { changeText } from '../../src/cli/change-text.js'
import { diffText } from '../../src/cli/diff-text.js'
import { explainText } from '../../src/cli/explain-text.js'
import type { Difference } from '../../src/index.js'
import { keyvisor } from '../support/command.js'

const DIGEST = 'ab'.repeat(32)

t.test('two manifests on the command line', async (t) => {
  const cwd = t.testdir({
    'a.json': JSON.stringify({ name: 'demo', packages: { host: [{ name: 'bash', version: '1' }] } }),
    'b.json': JSON.stringify({ name: '\x1b[31mdemo', packages: { host: [{ name: 'bash', version: '2' }] } }),
    'text.img': 'hello',
  })
  const env = { KEYVISOR_STORE: join(cwd, 'store') }
  const same = await keyvisor(['diff', 'a.json', 'a.json'], { cwd, env })
  t.strictSame(same, { code: 0, stdout: 'a.json and a.json are the same\n', stderr: '' })
  const { code, stdout, stderr } = await keyvisor(['diff', 'a.json', 'b.json'], { cwd, env })
  t.equal(code, 1)
  t.equal(stderr, '')
  t.match(stdout, /^packages of the host\n {2}bash 1 -> 2$/m)
  t.notOk(stdout.includes('\x1b'), 'a hostile name does not reach the terminal')
  const json = await keyvisor(['diff', 'a.json', 'b.json', '--json'], { cwd, env })
  t.equal(json.code, 1)
  t.match(JSON.parse(json.stdout), {
    same: false,
    differences: [{ part: 'manifest', item: 'name' }, {}],
    notes: [],
  })
  const none = await keyvisor(['diff', 'text.img', 'text.img'], { cwd, env })
  t.match(none, { code: 1, stderr: /text\.img is not a disk image/ })
})

t.test('a difference in words', async (t) => {
  const at = { at: null, field: '' }
  const differences: Difference[] = [
    { part: 'layout', item: 'diskGuid', a: 'x', b: 'y', ...at },
    { part: 'manifest', item: 'root.sha256', a: DIGEST, b: 'cd'.repeat(32), ...at },
    { part: 'root-a', item: '', field: 'time', a: 'of 9 files', b: 'of 9 files', at: null },
    { part: 'root-a', item: '/etc/motd', field: 'bytes', a: 8, b: 9, at: 5 },
    { part: 'root-a', item: '/etc/motd', field: 'time', a: 0, b: 1, at: null },
    { part: 'root-a', item: '/etc/motd', field: 'mode', a: '644', b: '4755', at: null },
    { part: 'root-a', item: '/etc/new', a: null, b: { kind: 'file', size: 3 }, ...at },
    { part: 'root-a', item: '/etc/old', a: { kind: 'file', size: 3 }, b: null, ...at },
    { part: 'packages of guest box', item: 'vim', a: '9.0', b: null, ...at },
    { part: 'library', item: '', field: 'bytes', a: 9, b: 9, at: 7 },
  ]
  const notes = ['the moon was not compared: it is too far']
  t.equal(
    diffText({ a: 'a.img', b: 'b.img', same: false, differences, notes }),
    `a.img and b.img differ

layout
  diskGuid x -> y

manifest
  root.sha256 differs

root-a
  time of 9 files -> of 9 files
  /etc/motd: differs from byte 5 on (8 bytes, 9 bytes)
  /etc/motd: time 1970-01-01T00:00:00.000Z -> 1970-01-01T00:00:01.000Z
  /etc/motd: mode 644 -> 4755
  /etc/new: only in the second
  /etc/old: only in the first

packages of guest box
  vim 9.0 (gone)

library
  differs from byte 7 on (9 bytes)

not looked into:
  - the moon was not compared: it is too far`,
  )
})

t.test('many differences of a part are counted', async (t) => {
  const one = { part: 'root-a', field: '', a: null, b: { size: 1 }, at: null }
  const differences = Array.from({ length: 43 }, (_, index) => ({ ...one, item: `/file ${index}` }))
  t.match(diffText({ a: 'a', b: 'b', same: false, differences, notes: [] }), /\n {2}and 3 more: see --json$/)
})

t.test('a change in words', async (t) => {
  const cases: [Parameters<typeof changeText>[0], string][] = [
    [{ path: ['bash'], before: '1', after: '2' }, 'bash 1 -> 2'],
    [{ path: ['a', 'b'], before: 1, after: { c: null } }, 'a.b 1 -> {"c":null}'],
    [{ path: [], before: 'vim' }, '-vim'],
    [{ path: [], after: 'nano' }, '+nano'],
    [{ path: ['/etc/motd'], after: DIGEST }, '/etc/motd (new)'],
    [{ path: ['/etc/motd'], before: DIGEST, after: 'ef'.repeat(32) }, '/etc/motd'],
    [{ path: ['vim'], before: '9' }, 'vim 9 (gone)'],
    [{ path: ['x'], before: 'y'.repeat(70), after: '' }, `x ${'y'.repeat(57)}... -> `],
  ]
  for (const [change, text] of cases) t.equal(changeText(change), text)
})

t.test('why stages ran', async (t) => {
  const item = { title: '', known: true, reused: false, changes: [] }
  const files = Array.from({ length: 10 }, (_, index) => ({
    path: ['files', `/etc/${index}`],
    after: DIGEST,
  }))
  t.equal(
    explainText([
      { ...item, stage: 'loader', reused: true },
      { ...item, stage: 'tree.host', reused: true, changes: [{ path: ['epoch'], before: 1, after: 2 }] },
      { ...item, stage: 'esp', known: false },
      { ...item, stage: 'library' },
      { ...item, stage: 'image', changes: [{ path: ['program'], before: DIGEST, after: 'ef'.repeat(32) }] },
      { ...item, stage: 'root', changes: [...files, { path: ['asked'], after: 'vim' }] },
    ]),
    [
      'stage loader: reused',
      'stage tree.host: reused from an earlier build (epoch: 1 -> 2)',
      'stage esp: built, because no earlier build of this image is known',
      'stage library: built, because the store had no sound result of it',
      'stage image: built, because of Keyvisor itself',
      `stage root: built, because of files: ${files
        .slice(0, 8)
        .map(({ path }) => `${path[1]} (new)`)
        .join(', ')}, and 2 more; asked: +vim`,
    ].join('\n'),
  )
})
