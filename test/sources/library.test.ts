import t from 'tap'
import { GiB } from '../../src/base/units.js'
import { NETWORK } from '../../src/plan/identity.js'
import { libraryIndex } from '../../src/sources/library.js'
import { guest } from '../support/guests.js'

const { base: _, definition: __, ...box } = guest('box', { disk: { size: 3 * GiB, serial: 'KVDISK0' } })
const [ONE, OTHER] = ['ef'.repeat(32), '12'.repeat(32)]

t.test('the library carries definitions with their bases', async (t) => {
  const carried = (digest: string) =>
    libraryIndex({ name: 'demo', network: NETWORK, guests: [box] }, () => digest).guests[0]
  t.strictSame(carried(ONE)?.base, { file: `${ONE}.qcow2`, sha256: ONE, size: 3 * GiB })
  t.match(carried(ONE)?.definition, /^[0-9a-f]{64}$/)
  t.not(carried(OTHER)?.definition, carried(ONE)?.definition, 'the base is part of the definition')
})
