/**
 * Decay: one changed byte in a block that the boot reads ends in a message that names verity.
 */
import { type FileHandle, open } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { MiB, SECTOR } from '../../src/base/units.js'
import { openLab } from '../../src/lab/tree.js'
import { withTrial } from '../../src/lab/trial.js'
import { type InspectedPartition, inspectImage } from '../../src/media/inspect.js'
import { copyImage, damage, isEvent, openDemo, serialText, waitFor } from './demo.js'

const demo = await openDemo(t)

if (demo) {
  const tools = await openLab(demo.run)
  const image = join(t.testdir(), 'damaged.img')
  const { partitions } = await inspectImage(demo.image, tools)
  const partition = (name: string) => partitions.find((one) => one.name === name) as InspectedPartition

  await t.test('in the root: the start stops, and says why', async (t) => {
    await copyImage(demo.image, image)
    // The squashfs superblock's block size (squashfs: struct squashfs_super_block).
    await damage(image, partition('root-a').first * SECTOR + 12)
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
      const disks = await findQcow2(demo.image, partition('library'))
      t.ok(disks.length > 0, 'the library holds disks')
      // The virtual size, in the header.
      for (const at of disks) await damage(image, at + 24)
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

/** Where each qcow2 of a partition begins, in bytes from the image's start. */
async function findQcow2(path: string, { first, last }: InspectedPartition): Promise<number[]> {
  const found: number[] = []
  const file: FileHandle = await open(path, 'r')
  try {
    for (let at = first * SECTOR; at < (last + 1) * SECTOR; at += MiB) {
      const { buffer } = await file.read(Buffer.alloc(MiB), 0, MiB, at)
      // File systems begin files at blocks of 4 KiB.
      for (let block = 0; block < MiB; block += 4096)
        if (buffer.toString('latin1', block, block + 4) === 'QFI\xfb') found.push(at + block)
    }
  } finally {
    await file.close()
  }
  return found
}
