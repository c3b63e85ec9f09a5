import { statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { makeFolder } from '../../src/base/make-folder.js'

t.test('a folder and those above it', async (t) => {
  const folder = t.testdir({ file: '' })
  const deep = join(folder, 'a/b/c')
  await Promise.all([makeFolder(deep), makeFolder(deep), makeFolder(join(folder, 'a/d'))])
  t.ok(statSync(deep).isDirectory())
  await makeFolder(deep)
  await makeFolder('/')
  writeFileSync(join(deep, 'kept'), '')
  await makeFolder(deep)
  t.ok(statSync(join(deep, 'kept')).isFile())
})

t.test('what cannot be made is an error at once', async (t) => {
  const folder = t.testdir({ file: '' })
  await t.rejects(makeFolder(join(folder, 'file')), { code: 'EEXIST' })
  await t.rejects(makeFolder(join(folder, 'file/below')), { code: 'ENOTDIR' })
  // Node's own would go on for ever.
  await t.rejects(makeFolder('/proc/none/below'), { code: 'ENOENT' })
})
