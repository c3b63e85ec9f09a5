/**
 * The digest of Keyvisor itself: any byte that runs changes it, and nothing else does.
 */
import {
  appendFileSync,
  chmodSync,
  cpSync,
  existsSync,
  readdirSync,
  readFileSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { packageFile } from '../../src/base/package.js'
import { digestProgram, programDigest } from '../../src/pipeline/program.js'
import { seeded, seedOfRun } from '../support/tools.js'

/** A copy of what is installed of the program. */
function copyOf(t: Test): string {
  if (!existsSync(packageFile('dist/cli/main.js'))) throw new Error('dist is missing: run npm run build')
  const root = t.testdir({ dist: {}, src: {} })
  for (const part of ['dist', 'src/debian', 'src/sources', 'src/host']) {
    cpSync(packageFile(part), join(root, part), { recursive: true, verbatimSymlinks: true })
  }
  return root
}

const filesBelow = (folder: string) =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))

t.test('the same wherever it is installed, and whenever', async (t) => {
  const root = copyOf(t)
  const digest = await programDigest()
  t.equal(await digestProgram(root), digest)
  for (const file of filesBelow(root)) {
    utimesSync(file, 1, 1)
    chmodSync(file, 0o600)
  }
  t.equal(await digestProgram(root), digest, 'times and modes are no part of it')
  for (const name of ['dist/index.d.ts', 'dist/index.js.map', 'src/host/root.ts']) {
    appendFileSync(join(root, name), ' ')
  }
  t.equal(await digestProgram(root), digest, 'what does not run is no part of it')
})

t.test('a byte of any file that runs changes it', async (t) => {
  const root = copyOf(t)
  const files = filesBelow(root).filter((file) => !/\.(ts|map)$/.test(file))
  t.ok(files.length > 150, `${files.length} files`)
  const random = seeded(seedOfRun())
  // Each takes a look at all of them: some are drawn, and another run draws others.
  const drawn = new Set(Array.from({ length: 24 }, () => files[random(files.length)] as string))
  const digests = new Set([await digestProgram(root)])
  for (const file of drawn) {
    const bytes = readFileSync(file)
    const changed = Buffer.from(bytes)
    changed[changed.length - 1] = (changed.at(-1) as number) ^ 1
    writeFileSync(file, changed)
    digests.add(await digestProgram(root))
    writeFileSync(file, bytes)
  }
  t.equal(digests.size, drawn.size + 1)
})

t.test('a new file, and a name, change it', async (t) => {
  const root = copyOf(t)
  const digest = await digestProgram(root)
  writeFileSync(join(root, 'src/host/overlay/etc/new.conf'), '')
  t.not(await digestProgram(root), digest)
})
