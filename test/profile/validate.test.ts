import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { CODES } from '../../src/base/codes.js'
import { EXIT, KeyvisorError } from '../../src/base/errors.js'
import { loadProfile } from '../../src/profile/load.js'
import { starterProfile } from '../../src/profile/starter.js'
import { validateProfile } from '../../src/profile/validate.js'
import { needTool } from '../support/tools.js'

const fixture = (name: string) =>
  fileURLToPath(new URL(`../../fixtures/profiles/broken/${name}`, import.meta.url))

t.test('files are left alone when asked', async (t) => {
  const { problems, loaded } = await validateProfile(fixture('named-files.yaml'), { files: false })
  t.strictSame(problems, [])
  t.equal(loaded?.profile.name, 'demo')
  t.strictSame(loaded?.positionOf(['guests', 1, 'name']), { line: 16, column: 11 })
})

t.test('a file that was probably meant', async (t) => {
  const { problems } = await validateProfile(fixture('named-files.yaml'), { files: true })
  t.equal(
    problems.find(({ path }) => path === 'host.files[0].source')?.hint,
    'did you mean named-files.yaml?',
  )
})

t.test('load throws everything at once', async (t) => {
  const file = fixture('duplicate-key.yaml')
  const error = await loadProfile(file).catch((error) => error)
  t.ok(error instanceof KeyvisorError)
  t.equal(error.code, 'invalid-profile')
  t.equal(error.exitCode, EXIT.usage)
  t.equal(error.problems.length, 2)
  t.match(error.message, /duplicate-key\.yaml has 2 problems$/)
})

t.test('load takes a profile that is only warned of', async (t) => {
  const { profile } = await loadProfile(fixture('no-login.yaml'))
  t.strictSame(profile, {
    version: 1,
    name: 'demo',
    host: { hostname: 'demo', admin: { name: 'ada', sshKeys: [] } },
  })
})

t.test('the starter is valid, and says where its schema is', async (t) => {
  const text = starterProfile('../schemas/profile.schema.json')
  t.equal(text.split('\n')[0], '# yaml-language-server: $schema=../schemas/profile.schema.json')
  const file = `${t.testdir({})}/my.yaml`
  writeFileSync(file, text)
  const { problems } = await validateProfile(file, { files: true })
  t.strictSame(
    problems.map(({ code }) => code),
    ['no-login'],
  )
})

t.test('the starter is valid with all its examples', async (t) => {
  if (!needTool(t, 'qemu-img')) return
  const key = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'
  const files = {
    'id_ed25519.pub': key,
    'app.service': '',
    'office.passphrase': 'known to all',
  }
  const folder = t.testdir({})
  for (const [name, text] of Object.entries(files)) writeFileSync(`${folder}/${name}`, text)
  execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', `${folder}/second.qcow2`, '1M'])
  const text = starterProfile('schema.json').replace(
    /^( *)# ((?:[a-zA-Z]+:|- name:|uplink:|wifi:| ).*)$/gm,
    '$1$2',
  )
  t.notMatch(text, /^ *# *(stick|packages|files|ports|- name):/m, 'all examples are in use')
  writeFileSync(`${folder}/my.yaml`, text)
  const { problems, loaded } = await validateProfile(`${folder}/my.yaml`, { files: true })
  t.strictSame(problems, [])
  t.equal(loaded?.profile.guests?.length, 2)
  t.equal(loaded?.profile.stick?.minimumSize, '8GiB')
})

/** Numerical Recipes' linear congruential generator: the same damage in every run. */
function* numbers(seed: number): Generator<number, never> {
  let state = seed
  for (;;) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    yield state
  }
}

t.test('damaged text gives problems with codes that are known, and never a crash', async (t) => {
  const file = `${t.testdir({})}/damaged.yaml`
  const whole = Buffer.from(starterProfile('schema.json'))
  const random = numbers(1)
  const next = (below: number) => (random.next().value as number) % below
  let broken = 0
  for (let round = 0; round < 400; round++) {
    const bytes = Buffer.from(whole.subarray(0, round % 4 === 0 ? next(whole.length) : whole.length))
    for (let change = 0; change < 3 && bytes.length > 0; change++) bytes[next(bytes.length)] = next(256)
    writeFileSync(file, bytes)
    const { problems, loaded } = await validateProfile(file, { files: false })
    if (!loaded) broken++
    if (!loaded && problems.length === 0) t.fail(`round ${round}: refused without a reason`)
    for (const { code } of problems) if (!(code in CODES)) t.fail(`round ${round}: ${code}`)
  }
  t.ok(broken > 100, `${broken} of 400 were refused`)
})

t.test('values that are of no use anywhere', async (t) => {
  const file = `${t.testdir({})}/odd.yaml`
  const odd = [
    'null',
    '~',
    '[]',
    '{}',
    '.inf',
    '.nan',
    '-0',
    '1e999',
    '""',
    '&a [*a]',
    '&a {a: *a}',
    '"\\0"',
    '0x1F',
  ]
  for (const value of odd) {
    for (const key of ['version', 'name', 'stick', 'host', 'guests', '__proto__', 'constructor']) {
      writeFileSync(file, `${key}: ${value}\n`)
      const { loaded, problems } = await validateProfile(file, { files: true })
      t.equal(loaded, undefined)
      t.ok(problems.length > 0, `${key}: ${value}`)
    }
  }
})
