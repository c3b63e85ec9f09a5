/**
 * Two real builds of the smallest profile that differ in one file: what `diff` and `--explain` say of them.
 *
 * The first build on a machine takes minutes; later ones take what the store has.
 */
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { packageFile } from '../../src/base/package.js'
import { silent } from '../../src/base/progress.js'
import { lockPath } from '../../src/lock/choose.js'
import { diffImages } from '../../src/media/diff.js'
import { type BuildResult, buildImage } from '../../src/pipeline/build.js'
import { Store, storeFolder } from '../../src/store/store.js'
import { diffTools } from '../../src/tools/tools.js'
import { built, OUT } from '../support/built.js'
import { needTools } from '../support/tools.js'

const folder = join(OUT, `diff-${process.pid}`)
t.teardown(() => rmSync(folder, { recursive: true, force: true }))

/** Builds `minimal` again, with a file of this text on it, from the same lock. */
async function withFile(text: string, store: Store): Promise<BuildResult> {
  const profile = join(folder, 'minimal.yaml')
  const file = '  files:\n    - { source: motd, target: /etc/motd-of-a-test }\n'
  writeFileSync(profile, readFileSync(packageFile('profiles/minimal.yaml'), 'utf8') + file)
  writeFileSync(join(folder, 'motd'), text)
  cpSync(lockPath(packageFile('profiles/minimal.yaml')), lockPath(profile))
  return buildImage({ profile, out: join(folder, 'out'), explain: true }, { store, progress: silent })
}

if (needTools(t, 'mmdebstrap', 'bwrap', 'unshare')) {
  const store = await Store.open(storeFolder())
  await built('minimal')
  mkdirSync(folder, { recursive: true })
  // Not in the store, whatever earlier runs of this test left there.
  const now = Date.now()
  const first = await withFile(`hello ${now}`, store)
  cpSync(first.image, join(folder, 'first.img'))
  cpSync(first.manifestFile, join(folder, 'first.manifest.json'))
  const second = await withFile(`hallo ${now}`, store)
  const diff = async (a: string, b: string) => {
    const scratch = await store.scratch('diff')
    t.teardown(() => rmSync(scratch, { recursive: true, force: true }))
    return diffImages(a, b, { tools: diffTools(), scratch })
  }

  await t.test('the explanation names the file, and what follows from it', async (t) => {
    const of = (name: string) => second.explanations?.find(({ stage }) => stage === name)
    t.match(of('tree.host'), { reused: true, changes: [] })
    t.match(of('library'), { reused: true, changes: [] })
    t.match(of('root'), { reused: false, known: true })
    t.strictSame(
      of('root')?.changes.map(({ path }) => path),
      [['files', '/etc/motd-of-a-test']],
    )
    t.match(of('image'), {
      reused: false,
      changes: [{ path: ['stages', 'esp'] }, { path: ['stages', 'root'] }],
    })
  })

  await t.test('the difference is that file, its root hash, and GUIDs', async (t) => {
    const { same, differences, notes } = await diff(join(folder, 'first.img'), second.image)
    t.notOk(same)
    t.strictSame(notes, [])
    const inRoot = differences.filter(({ part, field }) => part === 'root-a' && field !== 'time')
    t.match(inRoot, [{ item: '/etc/motd-of-a-test', field: 'bytes', a: 19, b: 19, at: 1 }])
    t.equal(inRoot.length, 1, 'exactly that file')
    const others = new Set(differences.map(({ part }) => part))
    t.strictSame([...others].sort(), ['esp', 'layout', 'manifest', 'root-a'])
    t.ok(differences.filter(({ part }) => part === 'layout').every(({ item }) => /[gG]uid$/.test(item)))
  })

  await t.test('an image is the same as its copy, and its manifest as its own', async (t) => {
    cpSync(second.image, join(folder, 'copy.img'))
    t.ok((await diff(second.image, join(folder, 'copy.img'))).same)
    t.ok((await diff(second.manifestFile, second.image)).same)
  })
}
