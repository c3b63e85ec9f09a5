import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { readSecret } from '../../src/base/secret.js'
import { secretSources } from '../../src/profile/secrets.js'
import { validateProfile } from '../../src/profile/validate.js'
import { formatProblem } from '../../src/yaml/problems.js'

t.test('a secret comes from the profile, a file or the environment', async (t) => {
  const folder = t.testdir({
    plain: 'hunter22',
    unix: 'hunter22\n',
    dos: 'hunter22\r\n',
    spaces: ' hunter22 \n',
  })
  t.equal((await readSecret('$6$a$b', folder)).reveal(), '$6$a$b')
  for (const file of ['plain', 'unix', 'dos'])
    t.equal((await readSecret({ file }, folder)).reveal(), 'hunter22', file)
  t.equal((await readSecret({ file: 'spaces' }, folder)).reveal(), ' hunter22 ', 'spaces can be part of it')
  process.env['KEYVISOR_TEST_SECRET'] = 'hunter23'
  t.teardown(() => delete process.env['KEYVISOR_TEST_SECRET'])
  t.equal((await readSecret({ env: 'KEYVISOR_TEST_SECRET' }, folder)).reveal(), 'hunter23')
})

t.test('where a profile says that its secrets are', async (t) => {
  const admin = { passwordHash: '$6$a$b' }
  t.strictSame(secretSources({ host: { admin } }), [], 'one that stands in it is not elsewhere')
  const wifi = [undefined, { ssid: 'a' }, { passphrase: { file: undefined } }, { passphrase: { env: 'A' } }]
  const [only, ...others] = secretSources({ host: { admin, network: { wifi } } })
  t.strictSame(others, [])
  t.match(only, { value: { env: 'A' }, path: ['host', 'network', 'wifi', 3, 'passphrase'] })
})

/** Each a mistake that somebody makes with a secret at hand; the word SECRET stands for it. */
const MISTAKES = {
  'in the profile itself': 'network: {wifi: [{ssid: a, passphrase: SECRET-SECRET}]}',
  'among others': 'network: {wifi: [{ssid: a, passphrase: [SECRET-SECRET]}]}',
  'a file with two lines': 'network: {wifi: [{ssid: a, passphrase: {file: two}}]}',
  'a file with a short one': 'network: {wifi: [{ssid: a, passphrase: {file: short}}]}',
  'a file with a long one': 'network: {wifi: [{ssid: a, passphrase: {file: long}}]}',
  'a variable with none of the kind': 'network: {wifi: [{ssid: a, passphrase: {env: KEYVISOR_TEST_BAD}}]}',
  'a password instead of its hash': 'admin: {passwordHash: SECRET}',
  'the same in a file': 'admin: {passwordHash: {file: short}}',
}

t.test('no mistake shows the secret', async (t) => {
  const folder = t.testdir({ two: 'SECRET-1\nSECRET-2\n', short: 'SECRET', long: 'SECRET'.repeat(11) })
  process.env['KEYVISOR_TEST_BAD'] = 'SECRET\u00fc\u00fc\u00fc'
  t.teardown(() => delete process.env['KEYVISOR_TEST_BAD'])
  for (const [name, line] of Object.entries(MISTAKES)) {
    const file = join(folder, 'a.yaml')
    writeFileSync(file, `version: 1\nname: a\nhost:\n  firmware: [realtek]\n  ${line}\n`)
    const { problems } = await validateProfile(file, { files: true })
    const errors = problems.filter(({ severity }) => severity === 'error')
    t.equal(errors.length, 1, name)
    t.notMatch(problems.map(formatProblem).join('\n'), 'SECRET', name)
  }
})
