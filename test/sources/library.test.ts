import t from 'tap'
import { GiB, MiB } from '../../src/base/units.js'
import type { Drive, Guest } from '../../src/guest/definition.js'
import { onBase } from '../../src/guest/drives.js'
import { NETWORK } from '../../src/plan/identity.js'
import { libraryIndex } from '../../src/sources/library.js'
import { guest } from '../support/guests.js'

const { definition: _, ...box } = guest('box')
const [ONE, OTHER] = ['ef'.repeat(32), '12'.repeat(32)] as [string, string]

function carried(drives: Drive<string>[], digest: string) {
  const one: Guest<string> = { ...box, drives }
  const made = (stage: string) => ({ sha256: stage === 'import.box' ? digest : OTHER, size: MiB })
  return libraryIndex({ name: 'demo', network: NETWORK, guests: [one] }, made).guests[0]
}

const disk: Drive<string> = { kind: 'overlay', base: 'import.box', size: 3 * GiB, serial: 'KVDISK0' }

t.test('the library carries definitions with their bases', async (t) => {
  const base = { file: `${ONE}.qcow2`, sha256: ONE, size: MiB }
  t.strictSame(carried([disk], ONE)?.drives, [onBase(disk, () => base)])
  t.match(carried([disk], ONE)?.definition, /^[0-9a-f]{64}$/)
  const another = carried([disk], OTHER)?.definition
  t.not(another, carried([disk], ONE)?.definition, 'the base is part of the definition')
})

t.test('a CD is an .iso of the library, which AppArmor lets QEMU read', async (t) => {
  const cdrom: Drive<string> = { kind: 'cdrom', base: 'import.box.iso0' }
  const second: Drive<string> = { ...disk, base: 'import.box.disk1' }
  t.match(carried([disk, cdrom, second], ONE)?.drives, [
    { base: { file: `${ONE}.qcow2` } },
    { kind: 'cdrom', base: { file: `${OTHER}.iso`, sha256: OTHER } },
    { base: { file: `${OTHER}.qcow2` } },
  ])
})
