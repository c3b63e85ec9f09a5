/**
 * Two PCs that differ in everything; `npm run test:long:machines` has them all.
 */
import { join } from 'node:path'
import t from 'tap'
import { openStick } from './demo.js'
import { checkPc, PCS, PROFILE, pcName } from './machines.js'

const demo = await openStick(t, PROFILE)

if (demo) {
  const lock = join('out/test', 'machines.lock.json')
  for (const pc of [PCS[1], PCS[4]]) {
    if (pc) await t.test(pcName(pc), (t) => checkPc(t, demo, lock, pc))
  }
}
