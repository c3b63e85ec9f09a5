/**
 * The ESP at its least, made by mtools and checked by fsck.fat.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { systemTools } from '../../src/base/tool.js'
import { MiB, SECTOR } from '../../src/base/units.js'
import { writeFat } from '../../src/disk/fat.js'
import { LEAST_ESP } from '../../src/stick/limits.js'
import { needTools, ODD_NAME } from '../support/tools.js'

const request = (size: number, source: string) => ({
  label: 'KEYVISOR',
  serial: '12345678',
  size,
  epoch: 1_750_000_000,
  files: [{ path: 'EFI/debian/grub.cfg', source }],
})

t.test('the least is a sound FAT32, and a MiB less is none', async (t) => {
  if (!needTools(t, 'mformat', 'mcopy', 'fsck.fat')) return
  const folder = join(t.testdir({ [ODD_NAME]: { file: 'set default=0\n' } }), ODD_NAME)
  const image = join(folder, 'esp.fat')
  for (const size of [LEAST_ESP, LEAST_ESP + SECTOR, LEAST_ESP + 7 * SECTOR, 100 * MiB]) {
    await writeFat(request(size, join(folder, 'file')), image, systemTools)
    const { stdout } = await systemTools.run({ tool: 'fsck.fat', args: ['-n', '-v', image] })
    t.match(stdout, /32 bit entries/, `${size} bytes`)
  }
  await t.rejects(writeFat(request(LEAST_ESP - MiB, join(folder, 'file')), image, systemTools))
})

t.test('files that do not fit are named', async (t) => {
  if (!needTools(t, 'mformat', 'mcopy')) return
  const folder = t.testdir()
  const large = join(folder, 'large')
  writeFileSync(large, Buffer.alloc(LEAST_ESP))
  const work = writeFat(request(LEAST_ESP, large), join(folder, 'esp.fat'), systemTools)
  await t.rejects(work, {
    code: 'fat-full',
    message: 'EFI/debian/grub.cfg does not fit a FAT file system of 33MiB',
  })
})
