import t from 'tap'
import { EXIT, Interrupted, KeyvisorError, type Problem } from '../../src/base/errors.js'

t.test('exit codes are those of the documentation', async (t) => {
  t.strictSame(EXIT, { done: 0, failed: 1, usage: 2, bug: 70, interrupted: 130 })
})

t.test('an error is a code, a message and a hint', async (t) => {
  const cause = new Error('below')
  const error = new KeyvisorError('no-space', 'no room', { hint: 'make room', cause })
  t.ok(error instanceof Error)
  t.match(error, { name: 'KeyvisorError', code: 'no-space', message: 'no room', hint: 'make room', cause })
  t.equal(error.exitCode, EXIT.failed)
  t.strictSame(error.problems, [])
})

t.test('without options there is no hint and no cause', async (t) => {
  const error = new KeyvisorError('odd', 'odd')
  t.equal(error.hint, undefined)
  t.notOk('cause' in error)
})

t.test('an invalid profile carries its problems and its exit code', async (t) => {
  const problem: Problem = { code: 'x', severity: 'error', file: 'a.yaml', path: 'name', message: 'y' }
  const error = new KeyvisorError('invalid-profile', 'bad', { exitCode: EXIT.usage, problems: [problem] })
  t.equal(error.exitCode, 2)
  t.strictSame(error.problems, [problem])
})

t.test('an interruption is told by its exit code', async (t) => {
  const error = new Interrupted()
  t.match(error, { code: 'interrupted', exitCode: 130 })
  t.ok(error instanceof KeyvisorError)
})
