import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, truncateSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { MiB } from '../../src/base/units.js'
import { openUserFile, readUserFile, readUserText } from '../../src/base/user-file.js'

t.test('a regular file is read', async (t) => {
  const path = join(t.testdir({ file: 'ä\n' }), 'file')
  t.equal(await readUserText(path), 'ä\n')
})

t.test('what is no regular file is said to be what it is, at once', async (t) => {
  const folder = t.testdir()
  const fifo = join(folder, 'fifo')
  execFileSync('mkfifo', [fifo])
  // unix(7): a socket's path has 107 bytes at most.
  const short = mkdtempSync(join(tmpdir(), 'keyvisor-'))
  t.teardown(() => rmSync(short, { recursive: true }))
  const socket = join(short, 's')
  const server = createServer().listen(socket)
  await new Promise((resolve) => server.on('listening', resolve))
  const kinds = { [fifo]: 'a pipe', [socket]: 'a socket or', '/dev/null': 'a device', [folder]: 'a folder' }
  for (const [path, kind] of Object.entries(kinds))
    await t.rejects(
      readUserFile(path),
      { code: 'not-a-file', message: `${path} is ${kind}`, hint: / file/ },
      kind,
    )
  await t.rejects(openUserFile('/dev/zero', true), { code: 'not-a-file' }, 'no disk either')
  server.close()
})

t.test("a disk's image is no text", async (t) => {
  const path = join(t.testdir({ image: '' }), 'image')
  truncateSync(path, 65 * MiB)
  await t.rejects(readUserFile(path), {
    code: 'file-too-large',
    message: `${path} has 65MiB, more than the 64MiB`,
  })
})

t.test('errors of open(2) are left to the caller', async (t) => {
  await t.rejects(readUserFile(join(t.testdirName, 'none')), { code: 'ENOENT' })
})
