import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { systemTools } from '../../src/base/tool.js'
import { bootCodeTarget, decodeCoreImage, patchBootImage, patchCoreImage } from '../../src/disk/grub.js'
import { needTool } from '../support/tools.js'

const GRUB = '/usr/lib/grub/i386-pc'

t.test('boot code: the LBA of the core image, and no jump over the drive check', async (t) => {
  const code = patchBootImage(Buffer.alloc(512, 0x11), 2048)
  t.equal(code.length, 440)
  t.equal(code.toString('hex', 0x5a, 0x6a), '1111' + '0008000000000000' + '1111' + '9090' + '1111')
  t.throws(() => patchBootImage(Buffer.alloc(511), 1), { code: 'not-grub' })
})

t.test('core image: whole sectors, and a block list of those after the first', async (t) => {
  const core = patchCoreImage(Buffer.alloc(1025, 0x22), 2048)
  t.equal(core.length, 1536)
  t.equal(core.toString('hex', 498, 514), '2222' + '0108000000000000' + '0200' + '2008' + '2222')
  t.equal(core.toString('hex', 1023, 1026), '222200')
  t.same(decodeCoreImage(core), { start: 2049, sectors: 2 })
  t.equal(patchCoreImage(Buffer.alloc(1024), 5).readUInt16LE(508), 1)
  t.throws(() => patchCoreImage(Buffer.alloc(512), 1), { code: 'not-grub' })
  t.throws(() => patchCoreImage(Buffer.alloc(512 * 0x10001), 1), { code: 'not-grub' })
})

t.test('what is not a core image', async (t) => {
  t.equal(decodeCoreImage(Buffer.alloc(512)), undefined)
  t.throws(() => decodeCoreImage(Buffer.alloc(511)), { code: 'truncated' })
  t.equal(bootCodeTarget(Buffer.alloc(440)), undefined)
})

t.test("GRUB's own images", async (t) => {
  if (!needTool(t, 'grub-mkimage')) return
  if (!existsSync(join(GRUB, 'boot.img'))) return void t.fail('grub-mkimage is here, and grub-pc-bin is not')
  const bootImage = readFileSync(join(GRUB, 'boot.img'))
  // boot.img as it comes: one sector behind the MBR, and a short jump of 5 at the drive check.
  t.equal(bootImage.toString('hex', 0x5c, 0x68), '0100000000000000' + 'fffa' + 'eb05')
  t.equal(bootCodeTarget(bootImage), undefined, 'unpatched boot code is not taken for ours')
  t.equal(bootCodeTarget(patchBootImage(bootImage, 4096)), 4096)

  const path = join(t.testdir(), 'core.img')
  const args = ['-O', 'i386-pc', '-p', '(,gpt2)/EFI/debian', '-o', path, 'biosdisk', 'part_gpt', 'fat']
  await systemTools.run({ tool: 'grub-mkimage', args })
  const image = readFileSync(path)
  const made = decodeCoreImage(image)
  const patched = decodeCoreImage(patchCoreImage(image, 2048))
  t.equal(made?.start, 2, 'grub-mkimage writes a block list of its own')
  t.same(patched, { start: 2049, sectors: made?.sectors }, 'and counts as many sectors as we do')
})
