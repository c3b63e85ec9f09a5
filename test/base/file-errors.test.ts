import { mkdtempSync, writeFileSync } from 'node:fs'
import { mkdir, open, readFile, rename, symlink } from 'node:fs/promises'
import { connect } from 'node:net'
import { constants, tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { KeyvisorError } from '../../src/base/errors.js'
import { errorHint, errorWords, fileError, ifThere, onDisk, onFile } from '../../src/base/file-errors.js'

const tool = (words: string) => new KeyvisorError('tool-failed', `tool failed (exit code 1)\n  | ${words}`)
const folder = t.testdir()
const file = join(folder, 'file')
writeFileSync(file, 'x')

/** What the system itself answers. */
async function errorOf(work: Promise<unknown>): Promise<unknown> {
  return work.then(
    () => undefined,
    (error) => error,
  )
}

t.test('what tools say of a full or failing disk', async (t) => {
  const apt = "E: You don't have enough free space in /var/cache/apt/archives/."
  for (const words of ['write: No space left on device', 'Disk quota exceeded', apt]) {
    t.match(fileError(tool(words), { doing: 'a stage' }), {
      code: 'no-space',
      message: `at this: a stage\ntool failed (exit code 1)\n  | ${words}`,
    })
  }
  t.match(fileError(tool('dpkg: unable to sync: Input/output error')), { code: 'disk-failed' })
  const tooLarge = ['cp: error writing: File too large', 'File size limit exceeded']
  for (const words of [...tooLarge, 'E: Sub-process store received signal 25.'])
    t.match(fileError(tool(words)), { code: 'file-limit' })
})

t.test('what the system itself answers', async (t) => {
  await symlink('circle', join(folder, 'circle'))
  const cases: [() => Promise<unknown>, { code: string; message: string }][] = [
    [
      () => open(join(folder, 'none', 'x'), 'w'),
      { code: 'no-such-file', message: 'none/x cannot be opened: there' },
    ],
    [
      () => mkdir(join(file, 'x')),
      { code: 'bad-path', message: 'file/x cannot be made: a part of the path' },
    ],
    [() => mkdir(file), { code: 'bad-path', message: 'file cannot be made: something else is there' }],
    [() => readFile(folder), { code: 'bad-path', message: 'it is a folder' }],
    [
      () => readFile(join(folder, 'circle')),
      { code: 'bad-path', message: 'circle cannot be opened: its symbolic' },
    ],
    [() => readFile(join(folder, 'x'.repeat(300))), { code: 'bad-path', message: 'the name is too long' }],
    [
      () => rename(file, join(folder, 'none', 'x')),
      { code: 'no-such-file', message: 'none/x) cannot be put in its' },
    ],
    [
      () => writeThere('/dev/full'),
      { code: 'no-space', message: '/dev/full cannot be written: the disk got full' },
    ],
  ]
  for (const [work, wanted] of cases) {
    const found = fileError(await errorOf(work()))
    t.match(found, wanted)
    t.ok(found?.hint)
  }
})

async function writeThere(path: string): Promise<void> {
  const opened = await open(path, 'w')
  try {
    await onFile(path, () => opened.write('x'))
  } finally {
    await opened.close()
  }
}

t.test('each errno has a code', async (t) => {
  const errno = (code: string) =>
    fileError(
      Object.assign(new Error('x'), { code, errno: -constants.errno[code as 'EIO'], syscall: 'write' }),
      { place: '/x' },
    )
  const quota = { code: 'Unknown system error -122', errno: -122, syscall: 'write' }
  t.match(fileError(Object.assign(new Error('x'), quota)), { code: 'no-space', message: /share of it/ })
  for (const code of ['ENOSPC', 'EDQUOT']) t.match(errno(code), { code: 'no-space' })
  for (const code of ['EIO', 'EROFS']) t.match(errno(code), { code: 'disk-failed' })
  for (const code of ['EACCES', 'EPERM']) t.match(errno(code), { code: 'no-access' })
  for (const code of ['EMFILE', 'ENFILE']) t.match(errno(code), { code: 'too-many-files' })
  t.match(errno('EFBIG'), { code: 'file-limit', message: '/x cannot be written' })
  t.match(errno('EXDEV'), { code: 'bad-path', message: 'are on different file systems' })
  t.match(errno('ENODEV'), { code: 'file-failed', hint: /dmesg/ })
  t.equal(errno('EBADF'), undefined, 'only we can do that')
})

t.test('every other error stays what it is', async (t) => {
  t.equal(fileError(tool('not a squashfs')), undefined)
  t.equal(fileError(new Error('No space left on device')), undefined, 'words count from tools only')
  t.equal(fileError(new TypeError('x is not a function')), undefined)
  const socket = connect(join(mkdtempSync(join(tmpdir(), 'keyvisor-')), 'none'))
  const refused = await new Promise((resolve) => socket.on('error', resolve))
  t.equal(fileError(refused), undefined, 'a network is no file')
  const other = tool('not a squashfs')
  await t.rejects(
    onDisk('a stage', () => Promise.reject(other)),
    other,
  )
})

t.test('the reason alone', async (t) => {
  const absent = await errorOf(readFile(join(folder, 'none')))
  t.equal(errorWords(absent), 'there is no such file or folder')
  t.match(errorHint(absent), /correct the path/)
  t.equal(errorWords(new Error('x')), 'x')
})

t.test('what is absent is an answer, and nothing else is', async (t) => {
  t.equal(await ifThere(readFile(join(folder, 'none'))), undefined)
  t.equal(await ifThere(readFile(file, 'utf8')), 'x')
  await t.rejects(ifThere(readFile(folder)), { code: 'EISDIR' })
  await t.rejects(ifThere(readFile(join(file, 'x'))), { code: 'ENOTDIR' })
})
