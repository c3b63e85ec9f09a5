import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { KeyvisorError, type Problem } from '../../src/base/errors.js'
import { placed } from '../../src/prepare/locate.js'

const PROFILE = `version: 1
name: demo
host:
  files:
    - {source: a, target: /etc/a}
    - source: b
      target: /etc/b
`

const problem = (path: string): Problem => ({
  code: 'refused-by-root',
  severity: 'error',
  file: '',
  path,
  message: 'no room',
})

t.test('what is found late gets its place in the profile', async (t) => {
  const file = join(t.testdir(), 'demo.yaml')
  writeFileSync(file, PROFILE)
  const problems = ['host.files[1].target', 'host.files[0].owner', 'guests[0].source.debian.units[2]'].map(
    problem,
  )
  const error = new KeyvisorError('invalid-profile', 'it does not fit', {
    exitCode: 2,
    hint: 'mend',
    problems,
  })
  const found = (await placed(error, file)) as KeyvisorError
  t.match(found, { code: 'invalid-profile', message: 'it does not fit', exitCode: 2, hint: 'mend' })
  t.strictSame(
    found.problems.map(({ file, position, path }) => [file, position?.line, position?.column, path]),
    [
      [file, 7, 15, 'host.files[1].target'],
      [file, 5, 7, 'host.files[0].owner'],
      [file, 1, 1, 'guests[0].source.debian.units[2]'],
    ],
    'the nearest place around what is not there',
  )
})

t.test('other errors stay as they are', async (t) => {
  const file = join(t.testdir(), 'gone.yaml')
  for (const error of [new Error('BUG: x'), new KeyvisorError('no-space', 'full'), undefined]) {
    t.equal(await placed(error, file), error)
  }
  const error = new KeyvisorError('invalid-profile', 'x', { problems: [problem('host')] })
  const found = (await placed(error, file)) as KeyvisorError
  t.strictSame(
    found.problems.map(({ file, position }) => [file, position]),
    [[file, undefined]],
    'also of a profile that is gone by now',
  )
})
