/**
 * A build that differs from the shared store's in all that is cheap to vary, at once, gives the same bytes: the short
 * form of test/long/reproduce.test.ts. A host without guests, from packages that are there already.
 */
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { sha256File } from '../../src/base/digests.js'
import { packageFile } from '../../src/base/package.js'
import type { Lock } from '../../src/lock/types.js'
import { storeFolder } from '../../src/store/store.js'
import { startBuild } from '../support/builders/builder.js'
import {
  memoryFolder,
  NO_NETWORK,
  ONE_CORE,
  OTHER_HABITS,
  OTHER_HOST_NAME,
  OTHER_USER,
  otherClock,
  otherUser,
  otherYear,
  packagesFrom,
  together,
  yearsSeen,
} from '../support/builders/elsewhere.js'
import { built } from '../support/built.js'
import { needTools, skipAloud } from '../support/tools.js'

t.setTimeout(900_000)

t.test('the same bytes elsewhere', async (t) => {
  if (!needTools(t, 'mmdebstrap', 'bwrap', 'unshare', 'setpriv', 'taskset')) return
  const { image, lockFile } = await built('minimal')
  const folder = mkdtempSync(join(memoryFolder() ?? tmpdir(), 'keyvisor-elsewhere-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  chmodSync(folder, 0o755)
  const clock = await otherClock(join(folder, 'clock'))
  const home = join(folder, 'a home')
  const who = await otherUser(join(folder, 'user'), home)
  if (!who) {
    skipAloud(t, 'only root, in a folder that others can read, can become another user')
    mkdirSync(home)
  }
  if (!clock) skipAloud(t, 'only root, with gcc, can build at another time')
  const lock = JSON.parse(readFileSync(lockFile, 'utf8')) as Lock
  await packagesFrom(lock, storeFolder(), join(home, 'store'), who && OTHER_USER)

  const { varied, options } = together(NO_NETWORK, OTHER_HOST_NAME, clock, ONE_CORE, who, OTHER_HABITS)
  const args = [packageFile('profiles/minimal.yaml'), '--lock', lockFile, '--out', join(home, 'out')]
  const { code, output } = await startBuild(join(home, 'store'), args, { ...options, cwd: '/' }).ended
  t.equal(code, 0, output)
  console.error(
    `# varied: working folder, empty store, ${memoryFolder() ? 'tmpfs, ' : ''}${varied.join(', ')}`,
  )
  t.strictSame(await sha256File(join(home, 'out', 'minimal.img')), await sha256File(image))
  if (clock) t.strictSame(yearsSeen(join(folder, 'clock')), [otherYear()], 'the other clock was in the tree')
})
