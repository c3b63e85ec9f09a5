import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { systemTools } from '../../src/base/tool.js'
import { isSealed, sealTree, treeDigestFile } from '../../src/store/seal.js'
import { Store } from '../../src/store/store.js'
import { toolsTree } from '../../src/tools/tools.js'
import { needTools } from '../support/tools.js'

function tree(t: Test): string {
  const folder = t.testdir({ usr: { bin: { tool: 'bytes', other: 'more' }, empty: {} } })
  symlinkSync('usr/bin', join(folder, 'bin'))
  chmodSync(join(folder, 'usr/bin/tool'), 0o755)
  return folder
}

t.test('a sealed tree is what it was, whatever its times', async (t) => {
  const folder = tree(t)
  t.notOk(await isSealed(folder), 'without a digest it is not')
  await sealTree(folder)
  t.ok(await isSealed(folder))
  utimesSync(join(folder, 'usr/bin/tool'), 1, 1)
  t.ok(await isSealed(folder))
  renameSync(folder, `${folder}-moved`)
  t.ok(await isSealed(`${folder}-moved`))
  rmSync(`${folder}-moved`, { recursive: true })
  t.notOk(await isSealed(folder), 'nor is one that is gone')
})

t.test('a link that leads out of the tree is not followed', async (t) => {
  const folder = t.testdir({ tree: { file: 'bytes' }, machine: { file: 'of the machine' } })
  const sealed = join(folder, 'tree')
  symlinkSync(join(folder, 'machine'), join(sealed, 'private'))
  await sealTree(sealed)
  writeFileSync(join(folder, 'machine/other'), '')
  t.ok(await isSealed(sealed))
})

t.test('every change shows', async (t) => {
  const changes: Record<string, (folder: string) => void> = {
    'a flipped byte': (folder) => writeFileSync(join(folder, 'usr/bin/tool'), 'bytez'),
    'a mode': (folder) => chmodSync(join(folder, 'usr/bin/tool'), 0o4755),
    'a new file': (folder) => writeFileSync(join(folder, 'usr/bin/new'), ''),
    'a lost file': (folder) => rmSync(join(folder, 'usr/bin/other')),
    'a lost folder': (folder) => rmSync(join(folder, 'usr/empty'), { recursive: true }),
    'another target': (folder) => {
      rmSync(join(folder, 'bin'))
      symlinkSync('usr/sbin', join(folder, 'bin'))
    },
    'the digest itself': (folder) => writeFileSync(treeDigestFile(folder), '0'.repeat(64)),
  }
  for (const [name, change] of Object.entries(changes)) {
    await t.test(name, async (t) => {
      const folder = tree(t)
      await sealTree(folder)
      change(folder)
      t.notOk(await isSealed(folder))
    })
  }
})

t.test('a tools tree with one flipped byte is unpacked anew, and a sound one is not', async (t) => {
  if (!needTools(t, 'dpkg-deb', 'unshare', 'tar')) return
  const folder = t.testdir()
  mkdirSync(join(folder, 'package/DEBIAN'), { recursive: true })
  mkdirSync(join(folder, 'package/usr/bin'), { recursive: true })
  const control = 'Package: tool\nVersion: 1\nArchitecture: all\nMaintainer: a <a@b.c>\nDescription: a tool\n'
  writeFileSync(join(folder, 'package/DEBIAN/control'), control)
  writeFileSync(join(folder, 'package/usr/bin/tool'), 'bytes')
  const path = join(folder, 'tool.deb')
  await systemTools.run({ tool: 'dpkg-deb', args: ['--build', join(folder, 'package'), path] })
  const item = {
    name: 'tool',
    version: '1',
    architecture: 'all',
    sha256: '',
    size: 0,
    filename: '',
    stanza: '',
  }
  const store = await Store.open(join(folder, 'store'))
  let unpacked = 0
  const open = () =>
    toolsTree({ store, progress: () => {} }, 'tools', 'key', async () => {
      unpacked++
      return [{ item, path }]
    })
  const tool = join(store.treePath('key'), 'usr/bin/tool')
  await open()
  await open()
  t.equal(unpacked, 1)
  writeFileSync(tool, 'bytez')
  await open()
  t.equal(unpacked, 2)
  t.equal(readFileSync(tool, 'utf8'), 'bytes')
  rmSync(treeDigestFile(store.treePath('key')))
  await open()
  t.equal(unpacked, 3, 'one of an older version, which has no digest')
  t.strictSame(await store.staleScratch(), [])
  t.ok(existsSync(treeDigestFile(store.treePath('key'))))
})
