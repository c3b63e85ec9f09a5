/** From a profile's path to a plan, with a lock made by hand. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { silent } from '../../src/base/progress.js'
import { writeLock } from '../../src/lock/lock.js'
import { planBuild } from '../../src/pipeline/plan-build.js'
import { lockQuestion } from '../../src/prepare/prepare.js'
import { loadProfile } from '../../src/profile/load.js'
import { Store } from '../../src/store/store.js'
import { answeringLock } from '../support/locks.js'
import { needTools } from '../support/tools.js'

t.test('a mirror and snapshots of the profile are asked for what an older lock names', async (t) => {
  if (!needTools(t, 'mmdebstrap')) return
  const folder = t.testdir({ 'a.yaml': 'version: 1\nname: small\n' })
  const profile = join(folder, 'a.yaml')
  const run = { store: await Store.open(join(folder, 'store')), progress: silent, offline: true }
  const { path, request } = lockQuestion({ profile }, (await loadProfile(profile)).profile)
  await writeLock(path, await answeringLock(request, run))
  const before = await planBuild({ profile, locked: true }, run)
  t.strictSame(before.archives, ['file:/nonexistent'])

  const host = 'host: {mirror: https://near.example/debian, snapshots: [https://old.example/debian]}\n'
  writeFileSync(profile, `version: 1\nname: small\n${host}`)
  const after = await planBuild({ profile, locked: true }, run)
  t.strictSame(after.archives, [
    'https://near.example/debian',
    'file:/nonexistent',
    'https://old.example/debian',
  ])
  t.equal(after.lockMade, false, 'where packages come from is not what was asked for')
  t.equal(after.stages.image.key, before.stages.image.key, 'nor does it change a byte')
})
