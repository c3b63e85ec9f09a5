import t from 'tap'
import { diskError, onDisk } from '../../src/base/disk-errors.js'
import { KeyvisorError } from '../../src/base/errors.js'

const tool = (words: string) => new KeyvisorError('tool-failed', `tool failed (exit code 1)\n  | ${words}`)

t.test('what tools and node say of a full or failing disk', async (t) => {
  const apt = "E: You don't have enough free space in /var/cache/apt/archives/."
  for (const words of ['write: No space left on device', 'Disk quota exceeded', apt]) {
    t.match(diskError(tool(words), 'a stage'), {
      code: 'no-space',
      message: `at this: a stage\ntool failed (exit code 1)\n  | ${words}`,
    })
  }
  t.match(diskError(tool('dpkg: unable to sync: Input/output error'), 'a stage'), { code: 'disk-failed' })
  const errno = (code: string) => diskError(Object.assign(new Error('write'), { code }), 'a stage')
  for (const code of ['ENOSPC', 'EDQUOT']) t.match(errno(code), { code: 'no-space' })
  for (const code of ['EIO', 'EROFS']) t.match(errno(code), { code: 'disk-failed' })
})

t.test('every other error stays what it is', async (t) => {
  t.equal(diskError(tool('not a squashfs'), 'a stage'), undefined)
  t.equal(
    diskError(new Error('No space left on device'), 'a stage'),
    undefined,
    'words count from tools only',
  )
  const other = tool('not a squashfs')
  await t.rejects(
    onDisk('a stage', () => Promise.reject(other)),
    other,
  )
})
