/**
 * Decay: one changed byte in a block of the root that the boot reads ends in a message that names verity. The library's
 * has its own in test/long/broken.test.ts.
 */
import { join } from 'node:path'
import t from 'tap'
import { withTrial } from '../../src/lab/trial.js'
import { damageRoot, partitionsOf } from '../support/breakage.js'
import { copyImage, isEvent, openDemo, serialText, waitFor } from '../support/demo.js'

const demo = await openDemo(t)

if (demo) {
  await t.test('one changed byte in the root ends the start by name', async (t) => {
    const image = join(t.testdir(), 'damaged.img')
    await copyImage(demo.image, image)
    await damageRoot(image, await partitionsOf(demo.image))
    await withTrial(image, { accelerator: 'tcg' }, demo.place, async (trial) => {
      const problem = await waitFor(trial, 600, isEvent('problem'))
      t.match(problem, { code: 'verity', message: /root.*verity/ })
      t.match(await serialText(trial), /device-mapper: verity: .* is corrupted/, 'the kernel names verity')
      t.notOk(trial.events.some(isEvent('host')), 'the host does not come up')
    })
  })
}
