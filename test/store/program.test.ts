/**
 * The digests of makers, as scripts/programs.js takes them: any byte of what a maker uses changes its digest, and nothing
 * else does.
 */
import { appendFileSync, cpSync, readFileSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { packageFile } from '../../src/base/package.js'
import { programOf } from '../../src/store/program.js'
import { PROGRAMS } from '../../src/store/programs.gen.js'

interface Programs {
  closureOf(module: string, root?: string): string[]
  digestOf(module: string, root?: string): string
  programs(root?: string): string[]
}
const { closureOf, digestOf, programs } = (await import(
  new URL('../../scripts/programs.js', import.meta.url).href
)) as Programs

function copyOf(t: Test): string {
  const root = t.testdir({})
  cpSync(packageFile('src'), join(root, 'src'), { recursive: true, verbatimSymlinks: true })
  return root
}

t.test('every maker has one, and another name is our own bug', async (t) => {
  t.strictSame(Object.keys(PROGRAMS).sort(), programs())
  t.equal(new Set(Object.values(PROGRAMS)).size, programs().length)
  t.equal(programOf('host/root'), digestOf('host/root'))
  t.throws(() => programOf('host/none'), /^BUG: no digest of host\/none/)
})

t.test('no maker knows the list of guest sources: a new kind changes no key of others', async (t) => {
  const list = 'src/sources/sources.ts'
  t.ok(closureOf('pipeline/stages').includes(list))
  t.strictSame(
    programs().filter((name) => closureOf(name).includes(list)),
    [],
  )
})

t.test('it covers what a maker uses: modules, scripts and folders, through all imports', async (t) => {
  const root = closureOf('host/root')
  for (const file of [
    'src/host/root.ts',
    'src/host/root.sh',
    'src/host/wifi.ts',
    'src/host/overlay/etc/nftables.conf',
    'src/debian/lay.sh',
    'src/disk/hash-tree.ts',
  ])
    t.ok(root.includes(file), file)
  t.notOk(
    root.some((file) => /pipeline|cli|lab|aboard/.test(file)),
    'who calls a maker is no part of it',
  )
  t.notOk(closureOf('sources/image/disk').includes('src/disk/ext4.ts'))
})

t.test('the same wherever and whenever', async (t) => {
  const root = copyOf(t)
  for (const file of closureOf('host/root', root)) utimesSync(join(root, file), 1, 1)
  t.equal(digestOf('host/root', root), PROGRAMS['host/root'])
  appendFileSync(join(root, 'src/cli/main.ts'), ' ')
  t.equal(digestOf('host/root', root), PROGRAMS['host/root'])
})

t.test('what is loaded as a maker runs would be in no digest, and is refused', async (t) => {
  const root = copyOf(t)
  appendFileSync(join(root, 'src/disk/hash-tree.ts'), "const late = await import('./ext4.js')\n")
  t.throws(() => digestOf('host/root', root), /src\/disk\/hash-tree\.ts loads a module as it runs/)
})

for (const module of programs()) {
  t.test(`a byte of any file that ${module} uses changes its digest`, async (t) => {
    const root = copyOf(t)
    const files = closureOf(module, root)
    const digests = new Set([digestOf(module, root)])
    for (const file of files) {
      const path = join(root, file)
      const bytes = readFileSync(path)
      // Behind the last line, where no import stands.
      writeFileSync(path, Buffer.concat([bytes, Buffer.from('\n')]))
      digests.add(digestOf(module, root))
      writeFileSync(path, bytes)
    }
    t.equal(digests.size, files.length + 1, `${files.length} files`)
  })
}
