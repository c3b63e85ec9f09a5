/**
 * The least sizes that `validate` asks for, against what a real build made: never more than is needed, and not much less.
 */
import t from 'tap'
import { systemTools } from '../../src/base/tool.js'
import { SECTOR } from '../../src/base/units.js'
import { LEAST_ESP_WITH_MICROCODE, LEAST_ROOT_SLOT } from '../../src/stick/limits.js'
import { built } from '../support/built.js'
import { needTool } from '../support/tools.js'

t.test('a root slot', async (t) => {
  const { manifest } = await built('minimal')
  const { size } = manifest.root
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
