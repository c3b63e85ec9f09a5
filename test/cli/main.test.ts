/** What every verb has in common: help, usage errors, exit codes, and the form of errors. */
import { readFileSync } from 'node:fs'
import { CommanderError } from 'commander'
import t from 'tap'
import { errorReport, errorText, exitCodeOf } from '../../src/cli/errors.js'
import { Interrupted, KeyvisorError } from '../../src/index.js'
import { keyvisor, start } from '../support/command.js'
import { said } from '../support/in-process.js'

const VERBS = ['init', 'validate', 'plan', 'build', 'lock', 'inspect', 'run', 'test', 'diff', 'store']

t.test('help', async (t) => {
  const { code, stdout, stderr } = await keyvisor(['--help'])
  t.equal(code, 0)
  t.equal(stderr, '')
  for (const verb of VERBS) t.match(stdout, new RegExp(`^  ${verb} `, 'm'))
  t.strictSame(await said(['--help']), { code, stdout, stderr }, 'the same in this process')
  const helps = await Promise.all(VERBS.map((verb) => said([verb, '--help'])))
  for (const [index, verb] of VERBS.entries()) {
    t.equal(helps[index]?.code, 0, verb)
    t.match(helps[index]?.stdout, /^For example:\n {2}\$ keyvisor /m, `${verb} has an example`)
  }
  t.strictSame(await said(['help', 'plan']), helps[VERBS.indexOf('plan')])
})

t.test('the version is that of package.json', async (t) => {
  const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'))
  t.strictSame(await said(['--version']), { code: 0, stdout: `${version}\n`, stderr: '' })
})

t.test('usage errors end with 2, and say what is wrong', async (t) => {
  const cases: [string[], RegExp][] = [
    [[], /^Usage: keyvisor/],
    [
      ['pln'],
      /^keyvisor: unknown command 'pln'\n\(Did you mean plan\?\)\n {2}hint: see "keyvisor --help"\n$/,
    ],
    [['plan'], /^keyvisor: missing required argument 'profile'\n/],
    [['plan', 'a.yaml', 'b.yaml'], /^keyvisor: too many arguments/],
    [['build', 'a.yaml', '--otu', 'x'], /^keyvisor: unknown option '--otu'\n\(Did you mean --out\?\)/],
    [['build', 'a.yaml', '--locked', '--update'], /'--locked' cannot be used with option '--update'/],
    [['lock', 'a.yaml', '--offline', '--update'], /'--offline' cannot be used with option '--update'/],
    [['build', 'a.yaml', '--offline', '--update'], /'--offline' cannot be used with option '--update'/],
    [
      ['build', 'a.yaml', '--artifacts', 'zst,iso'],
      /"iso" is none of zst, xz, bmap, sbom, provenance, sums, all/,
    ],
    [['build', 'a.yaml', '--bundle', 'rar'], /Allowed choices are zip, tar/],
    [['plan', 'a.yaml', '--on', 'ram=4G'], /"ram=4G" is none of ram=4GiB, cpus=2, kvm=yes, kvm=no/],
    [['plan', 'a.yaml', '--on', 'ram=4GiB,disk=1'], /"disk=1" is none of/],
    [['plan', 'a.yaml', '--on', 'cpus=0'], /"cpus=0" is none of/],
    [['test', 'a.img', '--machines', 'a.yaml'], /--machines needs --walk\n {2}hint: give --walk as well/],
    [['test', 'a.img', '--each'], /--each needs --walk/],
    [
      ['build', 'a.yaml', '--sign-password', 'p'],
      /--sign-password is for a key\n {2}hint: give --sign KEY, too/,
    ],
    [['test', 'a.img', '--walk', '--jobs', '2'], /--jobs needs --each/],
    [['test', 'a.img', '--walk', '--each', '--jobs', '0'], /Give a number from 1 to 255/],
    [['test', 'a.img', '--walk', '--cpus', '2'], /--cpus does not go with --walk/],
  ]
  for (const [args, words] of cases) {
    const { code, stdout, stderr } = await said(args)
    t.equal(code, 2, args.join(' '))
    t.equal(stdout, '')
    t.match(stderr, words)
  }
  t.strictSame(await keyvisor(['pln']), await said(['pln']), 'the same from a shell')
})

t.test('with --json an error is one object on stdout', async (t) => {
  const usage = await said(['plan', '--json'])
  t.equal(usage.code, 2)
  t.strictSame(JSON.parse(usage.stdout), {
    kind: 'error',
    code: 'usage',
    message: "missing required argument 'profile'",
  })
  t.equal(usage.stderr, '')
  const missing = await said(['inspect', '/nowhere.img', '--json'])
  t.equal(missing.code, 1)
  t.strictSame(JSON.parse(missing.stdout), {
    kind: 'error',
    code: 'no-such-file',
    message: '/nowhere.img does not exist',
    hint: 'name an image',
  })
  const invalid = await keyvisor(['plan', '/nowhere.yaml', '--json'], {
    env: { KEYVISOR_STORE: t.testdir() },
  })
  t.equal(invalid.code, 2)
  t.match(JSON.parse(invalid.stdout), {
    kind: 'error',
    code: 'invalid-profile',
    problems: [{ code: 'no-file', severity: 'error', file: '/nowhere.yaml' }],
  })
})

t.test('a store that cannot be written', async (t) => {
  const { code, stderr } = await keyvisor(['plan', 'a.yaml'], { env: { KEYVISOR_STORE: '/dev/null/store' } })
  t.equal(code, 1)
  t.match(
    stderr,
    /^keyvisor: the store \/dev\/null\/store cannot be written: .*\n {2}hint: set KEYVISOR_STORE/,
  )
})

t.test('a reader that stops reading is no error', async (t) => {
  const { child, ended } = start(['--help'])
  child.stdout?.destroy()
  const { stderr } = await ended
  t.equal(stderr, '')
})

t.test('exit codes of what is thrown', async (t) => {
  const quiet = new AbortController().signal
  t.equal(exitCodeOf(new KeyvisorError('x', 'x'), quiet), 1)
  t.equal(exitCodeOf(new KeyvisorError('x', 'x', { exitCode: 2 }), quiet), 2)
  t.equal(exitCodeOf(new CommanderError(1, 'x', 'x'), quiet), 2)
  t.equal(exitCodeOf(new TypeError('x'), quiet), 70)
  t.equal(exitCodeOf(new Interrupted(), quiet), 130)
  t.equal(
    exitCodeOf(new TypeError('x'), AbortSignal.abort(new Interrupted())),
    130,
    'whatever follows from Ctrl-C',
  )
})

t.test('errors in words', async (t) => {
  const problem = {
    code: 'bad-size',
    severity: 'error' as const,
    file: 'a.yaml',
    path: 'stick.esp',
    position: { line: 3, column: 7 },
    message: 'it is 4G',
    hint: 'write 4GiB',
  }
  const error = new KeyvisorError('invalid-profile', 'a.yaml has a problem', { problems: [problem] })
  t.equal(
    errorText(error),
    'a.yaml:3:7: error bad-size: stick.esp: it is 4G\n  hint: write 4GiB\nkeyvisor: a.yaml has a problem',
  )
  t.strictSame(errorReport(error), {
    kind: 'error',
    code: 'invalid-profile',
    message: 'a.yaml has a problem',
    problems: [problem],
  })
  const bug = errorText(new TypeError('oh'))
  t.match(bug, /^TypeError: oh\n {4}at /)
  t.match(bug, /\nthis is a bug in keyvisor/)
  t.match(errorReport(new TypeError('oh')), { kind: 'error', code: 'bug', message: /TypeError: oh/ })
})
