/**
 * A build from an empty store, without network and under other habits, gives the bytes of one from the shared store.
 * The short form of test/long/reproduce.test.ts: a host without guests, and packages that are there already.
 */
import { copyFileSync, linkSync, mkdirSync, readFileSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import t from 'tap'
import { sha256File } from '../../src/base/digests.js'
import { Store, storeFolder } from '../../src/build/store.js'
import { packageFile } from '../../src/debian/namespace.js'
import type { Lock } from '../../src/plan/types.js'
import { OTHER_HABITS, startBuild } from '../long/builder.js'
import { built } from '../oracle/built.js'
import { needTools, skipAloud } from '../tools.js'

t.setTimeout(300_000)

/** Puts the packages of a lock into an empty store, by links where that can be. */
async function packagesFrom(lock: Lock, folder: string): Promise<void> {
  const [from, to] = [await Store.open(storeFolder()), await Store.open(folder)]
  for (const { sha256 } of Object.values(lock.packages)) {
    const [source, target] = [from.objectPath(sha256), to.objectPath(sha256)]
    mkdirSync(dirname(target), { recursive: true })
    try {
      linkSync(source, target)
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      if (code === 'EXDEV') copyFileSync(source, target)
      else if (code !== 'ENOENT') throw error // A set that only another profile or the lab needs.
    }
  }
}

t.test('the same bytes from an empty store, without network, under other habits', async (t) => {
  if (!needTools(t, 'mmdebstrap', 'bwrap', 'unshare')) return
  const { image, lockFile } = await built('minimal')
  const folder = packageFile(`out/test/again-${process.pid}`)
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const store = join(folder, 'another store')
  await packagesFrom(JSON.parse(readFileSync(lockFile, 'utf8')) as Lock, store)
  const root = process.getuid?.() === 0
  if (!root) skipAloud(t, 'only root can take the network from a build and leave it its ids')
  const prefix = [...(root ? ['unshare', '--net'] : []), ...OTHER_HABITS.prefix]
  const args = [packageFile('profiles/minimal.yaml'), '--lock', lockFile, '--out', join(folder, 'out')]
  const { code, output } = await startBuild(store, args, { prefix, env: OTHER_HABITS.env }).ended
  t.equal(code, 0, output)
  t.strictSame(await sha256File(join(folder, 'out', 'minimal.img')), await sha256File(image))
})
