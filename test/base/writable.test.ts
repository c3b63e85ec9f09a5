import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { packageFile } from '../../src/base/package.js'
import { checkOut } from '../../src/base/writable.js'
import { buildImage } from '../../src/pipeline/build.js'
import { Store } from '../../src/store/store.js'

const folder = t.testdir()
const file = join(folder, 'file')
writeFileSync(file, 'x')
symlinkSync('circle', join(folder, 'circle'))

t.test('a folder that is there, or can be made', async (t) => {
  mkdirSync(join(folder, 'out'))
  for (const out of ['out', 'out/a/b', 'none']) await t.resolves(checkOut(join(folder, out)))
})

t.test('a place where no image can be written is told, with what mends it', async (t) => {
  const cases: [string, RegExp][] = [
    ['file', /file cannot be written: a part of the path is a file/],
    ['file/below', /file\/below cannot be written: a part of the path is a file/],
    ['circle/below', /circle\/below cannot be written: its symbolic links lead round in a circle/],
    ['x'.repeat(300), /the name is too long/],
  ]
  for (const [out, message] of cases)
    await t.rejects(checkOut(join(folder, out)), { code: 'out-unusable', message, hint: /--out/ })
})

t.test('it is told before anything else is done', async (t) => {
  const store = await Store.open(join(folder, 'store'))
  const stages: string[] = []
  const run = { store, progress: (event: { kind: string }) => void stages.push(event.kind) }
  const request = {
    profile: packageFile('profiles/minimal.yaml'),
    out: file,
    lock: join(folder, 'lock.json'),
  }
  await t.rejects(buildImage(request, run), { code: 'out-unusable', exitCode: 1 })
  t.strictSame(stages, [])
})
