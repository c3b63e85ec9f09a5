/**
 * Decay: one changed byte in a block that the boot reads ends in a message that names verity.
 */
import { join } from 'node:path'
import t from 'tap'
import { openLab } from '../../src/lab/tree.js'
import { withTrial } from '../../src/lab/trial.js'
import { damageLibrary, damageRoot, partitionsOf } from './breakage.js'
import { copyImage, isEvent, openDemo, serialText, waitFor } from './demo.js'

const demo = await openDemo(t)

if (demo) {
  const image = join(t.testdir(), 'damaged.img')
  const partitions = await partitionsOf(demo.image, await openLab(demo.run))

  await t.test('in the root: the start stops, and says why', async (t) => {
    await copyImage(demo.image, image)
    await damageRoot(image, partitions)
    await withTrial(image, { accelerator: 'tcg' }, demo.run, async (trial) => {
      const problem = await waitFor(trial, 180, isEvent('problem'))
      t.match(problem, { code: 'verity', message: /root.*verity/ })
      t.match(await serialText(trial), /device-mapper: verity: .* is corrupted/, 'the kernel names verity')
      t.notOk(trial.events.some(isEvent('host')), 'the host does not come up')
    })
  })

  await t.test(
    'in the library: the guests fail whose disks they are, and the report names verity',
    async (t) => {
      await copyImage(demo.image, image)
      t.ok((await damageLibrary(image, partitions)) > 0, 'the library holds disks')
      await withTrial(image, { accelerator: 'tcg' }, demo.run, async (trial) => {
        t.ok(await waitFor(trial, 300, isEvent('done')), 'the stick comes to its end')
        t.ok(trial.events.some(isEvent('host')), 'the host is up all the same')
        t.match(trial.events.find(isEvent('problem')), { code: 'verity', message: /verity: library/ })
        const guests = trial.events.filter(isEvent('guest'))
        t.strictSame([...new Set(guests.map(({ state }) => state))], ['failed'])
        t.match(await serialText(trial), /device-mapper: verity: .* is corrupted/, 'the kernel names verity')
      })
    },
  )
}
