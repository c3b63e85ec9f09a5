import { readFileSync } from 'node:fs'
import t from 'tap'
import { FIRMWARE, firmwarePackages } from '../../src/plan/firmware.js'
import { DEFAULTS, type HardwareFirmware } from '../../src/yaml/profile.gen.js'
import { SCHEMA_FILE } from '../../src/yaml/profile-schema.js'

t.test('a profile can name exactly what is in the table', async (t) => {
  const schema = JSON.parse(readFileSync(SCHEMA_FILE, 'utf8'))
  const named: HardwareFirmware[] = schema.$defs.hardwareFirmware.enum
  t.strictSame(Object.keys(FIRMWARE).sort(), [...named].sort())
  for (const { title, packages } of Object.values(FIRMWARE)) t.ok(title && packages.length > 0, title)
  const all = firmwarePackages(named)
  t.equal(new Set(all).size, all.length, 'no package has two names')
})

t.test('processors of both makers are in the default', async (t) => {
  const packages = firmwarePackages(DEFAULTS.host.firmware)
  t.ok(packages.includes('intel-microcode') && packages.includes('amd64-microcode'))
})
