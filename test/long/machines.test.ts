/**
 * On every PC the stick gives guests what `plan --on` says of that PC.
 */
import { join } from 'node:path'
import t from 'tap'
import { openStick } from '../support/demo.js'
import { checkPc, PCS, PROFILE, pcName } from '../support/machines.js'

const demo = await openStick(t, PROFILE)

if (demo) {
  const lock = join('out/test', 'machines.lock.json')
  for (const pc of PCS) await t.test(pcName(pc), (t) => checkPc(t, demo, lock, pc))
}
