import { appendFileSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { KeyvisorError } from '../../src/base/errors.js'
import { refusalOr, writeLaying } from '../../src/debian/lay.js'

const file = (target: string, owner = 'root:root') => ({
  source: '/etc/hostname',
  target,
  mode: 0o644,
  owner,
})

t.test('each file has a line with its place', async (t) => {
  const scratch = t.testdir()
  await writeLaying([file('/etc/b c'), file('/etc/a', '12:adm')], 'host.files', 1, scratch)
  const lines = readFileSync(join(scratch, 'files'), 'utf8')
  t.equal(lines, 'host.files[0]\t/etc/b c\troot\troot\nhost.files[1]\t/etc/a\t12\tadm\n')
})

t.test('a script that fails has refused something, or failed', async (t) => {
  const scratch = t.testdir()
  await writeLaying([], 'host.files', 1, scratch)
  const failed = new KeyvisorError('tool-failed', 'unshare failed')
  t.equal(await refusalOr(failed, scratch), failed)
  appendFileSync(join(scratch, 'refused'), 'host.files[0].target\t/etc is a folder\nhost.admin.name\ttaken\n')
  const refusal = (await refusalOr(failed, scratch)) as KeyvisorError
  t.match(refusal, { code: 'invalid-profile', exitCode: 2, cause: failed })
  t.strictSame(
    refusal.problems.map(({ path, message }) => [path, message]),
    [
      ['host.files[0].target', '/etc is a folder'],
      ['host.admin.name', 'taken'],
    ],
  )
})
