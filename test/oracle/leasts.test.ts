/**
 * The least sizes that `validate` asks for, against what a real build made: never more than is needed, and not much less.
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { systemTools } from '../../src/base/tool.js'
import { SECTOR } from '../../src/base/units.js'
import { LEAST_ESP_WITH_MICROCODE, LEAST_GUEST_DISK, LEAST_ROOT_SLOT } from '../../src/stick/limits.js'
import type { ManifestPayload } from '../../src/stick/manifest.js'
import { built, OUT } from '../support/built.js'
import { guestRoot } from '../support/guest-root.js'
import { needTool, needTools } from '../support/tools.js'

t.test('a root slot', async (t) => {
  const { manifest } = await built('minimal')
  const { size } = manifest.slots.a as ManifestPayload
  t.ok(LEAST_ROOT_SLOT <= size, `the root has ${size} bytes, the least slot ${LEAST_ROOT_SLOT}`)
  t.ok(size < 1.3 * LEAST_ROOT_SLOT, 'the least is not far below what every root takes')
})

t.test('an ESP', async (t) => {
  if (!needTool(t, 'mdu')) return
  const { image, manifest } = await built('minimal')
  const esp = manifest.layout.partitions.find(({ name }) => name === 'esp')
  const place = `${image}@@${(esp?.first ?? 0) * SECTOR}`
  const { stdout } = await systemTools.run({ tool: 'mdu', args: ['-s', '-i', place, '::'] })
  const content = Number(stdout.trim().split(/\s+/).at(-1)) * SECTOR
  const least = LEAST_ESP_WITH_MICROCODE
  t.ok(least <= content, `what lies there has ${content} bytes, the least is ${least}`)
  t.ok(content < 1.3 * least, 'the least is not far below what every ESP with microcode takes')
})

t.test("a guest's disk", async (t) => {
  if (!needTools(t, 'debugfs', 'dumpe2fs', 'qemu-img', 'sfdisk')) return
  mkdirSync(OUT, { recursive: true })
  const folder = mkdtempSync(join(OUT, 'least-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  // Of the guests that ship the one with the least on it.
  const { file, around } = await guestRoot(await built('demo'), 'forgetful', folder)
  const { stdout } = await systemTools.run({ tool: 'dumpe2fs', args: ['-h', file] })
  const number = (name: string) => Number(new RegExp(`^${name}: +(\\d+)$`, 'm').exec(stdout)?.[1])
  // What ext4 takes for itself grows with the disk, which is much larger than the least.
  const blocks = number('Block count') - number('Free blocks') - number('Overhead clusters')
  const needed = around + blocks * number('Block size')
  t.ok(
    LEAST_GUEST_DISK <= needed,
    `its files and what is around its root take ${needed} bytes, the least is ${LEAST_GUEST_DISK}`,
  )
  t.ok(needed < 1.3 * LEAST_GUEST_DISK, 'the least is not far below what every guest takes')
})
