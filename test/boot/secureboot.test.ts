/**
 * The demo's image under Secure Boot: a changed kernel does not start. That Debian's signed chain does, `walk.test.ts` shows.
 */
import { dirname, join } from 'node:path'
import t from 'tap'
import { SECTOR } from '../../src/base/units.js'
import { withTrial } from '../../src/lab/trial.js'
import { inspectImage } from '../../src/media/inspect.js'
import type { Workplace } from '../../src/store/workplace.js'
import { openLab } from '../../src/tools/lab-tools.js'
import { damage } from '../support/breakage.js'
import { copyImage, isEvent, openDemo, waitFor, waitForWords } from '../support/demo.js'

const demo = await openDemo(t)

if (demo) {
  await t.test('one changed byte in the kernel stops the start', async (t) => {
    const image = join(t.testdir(), 'changed.img')
    await copyImage(demo.image, image)
    await changeKernel(image, demo.place)
    await withTrial(image, { accelerator: 'tcg', firmware: 'secureboot' }, demo.place, async (trial) => {
      t.ok(await waitForWords(trial, 600, /bad shim signature/), 'GRUB says why')
      t.notOk(await waitFor(trial, 10, isEvent('host')), 'and the host does not come up')
    })
  })
}

/** Flips a bit in the middle of vmlinuz on the ESP: taken out, changed, and put back. */
async function changeKernel(image: string, place: Workplace): Promise<void> {
  const tools = await openLab(place)
  const { partitions } = await inspectImage(image)
  const esp = partitions.find(({ name }) => name === 'esp')
  const drive = `${image}@@${(esp?.first ?? 0) * SECTOR}`
  const folder = dirname(image)
  const kernel = join(folder, 'vmlinuz')
  const binds = [{ path: folder, write: true }]
  await tools.run({ tool: 'mcopy', args: ['-i', drive, '::/a/vmlinuz', kernel], binds })
  await damage(kernel, 4_000_000)
  await tools.run({ tool: 'mcopy', args: ['-o', '-i', drive, kernel, '::/a/vmlinuz'], binds })
}
