/** `init` and `validate`. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { keyvisor } from '../support/command.js'

const FIXTURES = fileURLToPath(new URL('../../fixtures/profiles/broken/', import.meta.url))

t.test('init writes a profile that validate accepts, and never overwrites one', async (t) => {
  const cwd = t.testdir()
  const made = await keyvisor(['init', 'a.yaml'], { cwd })
  t.strictSame(made, {
    code: 0,
    stdout: 'wrote a.yaml: read it, change it, then run\n  keyvisor validate a.yaml\n',
    stderr: '',
  })
  const text = readFileSync(join(cwd, 'a.yaml'), 'utf8')
  const schema = /^# yaml-language-server: \$schema=(.*)\n/.exec(text)?.[1] as string
  t.match(JSON.parse(readFileSync(schema, 'utf8')), { title: String }, 'the schema is where it says')
  const { code, stdout } = await keyvisor(['validate', 'a.yaml'], { cwd })
  t.equal(code, 0)
  t.match(stdout, /warning no-login: .*\n.*\na\.yaml: valid, 1 warning\n$/)

  writeFileSync(join(cwd, 'a.yaml'), 'mine')
  const again = await keyvisor(['init', 'a.yaml'], { cwd })
  t.equal(again.code, 1)
  t.match(again.stderr, /^keyvisor: a\.yaml is there already/)
  t.equal(readFileSync(join(cwd, 'a.yaml'), 'utf8'), 'mine')
  const nowhere = await keyvisor(['init', 'no/folder/a.yaml'], { cwd })
  t.equal(nowhere.code, 1)
  t.match(nowhere.stderr, /^keyvisor: no\/folder\/a\.yaml cannot be written: there is no such file or folder/)
})

t.test('init without a name', async (t) => {
  const cwd = t.testdir()
  t.match(await keyvisor(['init'], { cwd }), { code: 0, stdout: /^wrote my-stick\.yaml/ })
  t.match(readFileSync(join(cwd, 'my-stick.yaml'), 'utf8'), /^name: my-stick$/m)
})

const BAD = `version: 1
name: bad
host: {keybord: us}
stick: {minimumSize: 4G}
`
const GOOD = `version: 1
name: good
host:
  admin: {name: admin, sshKeys: [], passwordHash: '$6$abc$${'x'.repeat(86)}'}
`

t.test('validate names every problem of every file', async (t) => {
  const cwd = t.testdir({ 'bad.yaml': BAD, 'good.yaml': GOOD })
  const { code, stdout, stderr } = await keyvisor(['validate', 'bad.yaml', 'good.yaml'], { cwd })
  t.equal(code, 2)
  t.equal(stderr, '')
  t.match(
    stdout,
    /^bad\.yaml:3:8: error unknown-key: host\.keybord: .*\n {2}hint: .*keyboard/m,
    'did you mean',
  )
  t.match(stdout, /^bad\.yaml:4:22: error bad-size: stick\.minimumSize: /m)
  t.match(stdout, /^bad\.yaml: not valid, 2 errors, 1 warning$/m)
  t.match(stdout, /^good\.yaml: valid$/m)
})

t.test('validate --json', async (t) => {
  const cwd = t.testdir({ 'bad.yaml': BAD, 'good.yaml': GOOD })
  const { code, stdout, stderr } = await keyvisor(['validate', '--json', 'bad.yaml', 'good.yaml'], { cwd })
  t.equal(code, 2)
  t.equal(stderr, '')
  const { valid, files } = JSON.parse(stdout)
  t.equal(valid, false)
  t.strictSame(files[1], { file: 'good.yaml', valid: true, problems: [] })
  t.match(files[0], { file: 'bad.yaml', valid: false })
  const [login, unknown] = files[0].problems
  t.match(login, { code: 'no-login', severity: 'warning' })
  t.match(unknown, {
    code: 'unknown-key',
    severity: 'error',
    file: 'bad.yaml',
    path: 'host.keybord',
    position: { line: 3, column: 8 },
  })
  t.match(await keyvisor(['validate', '--json', 'good.yaml'], { cwd }), {
    code: 0,
    stdout: /^\{\n {2}"valid": true/,
  })
})

t.test('validate --no-files does not look for guest images', async (t) => {
  const profile = `${GOOD}guests:\n  - {name: a, source: {image: ./gone.qcow2, format: qcow2}, ready: none}\n`
  const cwd = t.testdir({ 'a.yaml': profile })
  t.match(await keyvisor(['validate', 'a.yaml'], { cwd }), {
    code: 2,
    stdout: /error no-file: guests\[0\]\.source\.image/,
  })
  t.match(await keyvisor(['validate', '--no-files', 'a.yaml'], { cwd }), {
    code: 0,
    stdout: 'a.yaml: valid\n',
  })
})

t.test('validate prints what the fixtures say', async (t) => {
  const { code, stdout } = await keyvisor(['validate', 'bad-size.yaml'], { cwd: FIXTURES })
  t.equal(code, 2)
  const expected = readFileSync(join(FIXTURES, 'bad-size.expect'), 'utf8').split('\n').filter(Boolean)
  for (const line of expected.filter((line) => !line.startsWith('#'))) {
    const [place, code] = line.split(' ') as [string, string]
    t.match(stdout, new RegExp(`^bad-size\\.yaml:${place.replace(/^[^\d]*/, '')}: \\w+ ${code}: `, 'm'))
  }
})

t.test('nothing in a profile steers the terminal', async (t) => {
  const cwd = t.testdir({ 'a.yaml': 'version: 1\nname: "a\\e]0;owned\\a"\n"\\e[2J": 1\n' })
  const { code, stdout } = await keyvisor(['validate', 'a.yaml'], { cwd })
  t.equal(code, 2)
  t.strictSame(
    [...stdout].filter((character) => character !== '\n' && (character < ' ' || character === '\x7f')),
    [],
  )
  t.match(stdout, /2J/, 'the rest of it is shown')
})
