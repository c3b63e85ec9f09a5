import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import t from 'tap'
import { shellWords } from '../../src/base/shell.js'
import { systemTools } from '../../src/base/tool.js'
import { type Deb, unpackToolsTree } from '../../src/debian/tree.js'
import { holds } from '../support/property.js'
import { needTools, ODD_NAME } from '../support/tools.js'

/** What sh(1) makes of a line: one word a line of its own, ended by NUL. */
async function wordsBySh(line: string): Promise<string[]> {
  const { stdout } = await systemTools.run({ tool: 'sh', args: ['-c', `printf '%s\\0' ${line}`] })
  return stdout.split('\0').slice(0, -1)
}

t.test('sh splits a quoted argv into the same words', async (t) => {
  const words = [
    'plain',
    '',
    ' ',
    "it's",
    '"',
    '$HOME',
    '`id`',
    '\\',
    '*',
    '~',
    '#',
    'a\nb',
    '!',
    'ä',
    '-e',
    'a=b',
    "''",
  ]
  t.strictSame(await wordsBySh(shellWords(words)), words)
})

t.test('words of random characters too', async (t) => {
  const letter = fc.constantFrom(...'ab\'"\\$`*?[]{}()<>|&;~#!= \t\nä%@+:,./-')
  const words = fc.array(fc.string({ unit: letter, maxLength: 11 }), { minLength: 1, maxLength: 6 })
  const comeBack = async (words: string[]) => isDeepStrictEqual(await wordsBySh(shellWords(words)), words)
  await holds(t, 40, fc.asyncProperty(words, comeBack))
})

// ------------------------------------------------------------------------------------------ tools trees

/** A package of one file, made by dpkg-deb. */
async function makeDeb(folder: string, name: string, files: Record<string, string>): Promise<Deb> {
  const root = join(folder, name)
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(join(root, path, '..'), { recursive: true })
    writeFileSync(join(root, path), content)
  }
  mkdirSync(join(root, 'DEBIAN'), { recursive: true })
  const control = `Package: ${name}\nVersion: 1\nArchitecture: all\nMaintainer: nobody\nDescription: test\n`
  writeFileSync(join(root, 'DEBIAN/control'), control)
  writeFileSync(join(root, 'DEBIAN/postinst'), '#!/bin/sh\ntouch /keyvisor-was-here\n', { mode: 0o755 })
  const path = join(folder, `${name}.deb`)
  await systemTools.run({ tool: 'dpkg-deb', args: ['--root-owner-group', '-b', root, path] })
  return { item: {} as Deb['item'], path }
}

t.test(
  'packages are unpacked over each other, old paths into the merged /usr, and no script runs',
  async (t) => {
    if (!needTools(t, 'dpkg-deb', 'tar')) return
    const folder = join(t.testdir({ [ODD_NAME]: {} }), ODD_NAME)
    const debs = [
      await makeDeb(folder, 'old', { 'bin/tool': 'in /bin', 'lib/x': 'in /lib' }),
      await makeDeb(folder, 'new', { 'usr/bin/other': 'in /usr/bin', 'etc/conf': 'c' }),
    ]
    const tree = join(folder, 'tree')
    await unpackToolsTree(debs, tree)
    const read = (path: string) => readFileSync(join(tree, path), 'utf8')
    t.equal(read('usr/bin/tool'), 'in /bin')
    t.equal(read('bin/other'), 'in /usr/bin')
    t.equal(read('usr/lib/x'), 'in /lib')
    t.equal(read('etc/conf'), 'c')
    t.equal(read('etc/resolv.conf'), '')
    t.notOk(existsSync('/keyvisor-was-here'))
  },
)

t.test('a package that is damaged ends the unpacking', async (t) => {
  if (!needTools(t, 'dpkg-deb', 'tar')) return
  const folder = t.testdir()
  const deb = await makeDeb(folder, 'some', { 'usr/bin/tool': 'x'.repeat(10_000) })
  const bytes = readFileSync(deb.path)
  for (const damaged of [bytes.subarray(0, bytes.length - 60), Buffer.alloc(100), Buffer.alloc(0)]) {
    writeFileSync(deb.path, damaged)
    const tree = join(folder, `tree-${damaged.length}`)
    await t.rejects(unpackToolsTree([deb], tree), { code: 'tool-failed' }, `${damaged.length} bytes`)
  }
})
