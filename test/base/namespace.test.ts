import { chmodSync, existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { KeyvisorError } from '../../src/base/errors.js'
import { refusal, removeScratch } from '../../src/base/namespace.js'
import { APPARMOR_PROFILE } from '../../src/base/sandbox.js'
import { systemTools } from '../../src/base/tool.js'
import { needTools, skipAloud } from '../support/tools.js'

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

t.test('what unshare never started has given no answer', async (t) => {
  if (process.getuid?.() !== 0) return skipAloud(t, 'only root can be a user whose processes are limited')
  const unshare = ['prlimit', '--nproc=1', 'unshare', '--fork', 'true']
  const args = ['--reuid=65000', '--regid=65000', '--clear-groups', ...unshare]
  const error: KeyvisorError = await systemTools.run({ tool: 'setpriv', args }).then(
    () => Promise.reject(new Error('it was started')),
    (error) => error,
  )
  t.match(error, { code: 'tool-failed', message: /\n {2}\| unshare: fork failed/ })
  t.match(refusal(error), {
    code: 'tool-unstarted',
    message: /could not be started\n.*\n {2}\| unshare: fork failed/,
    status: undefined,
  })
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
