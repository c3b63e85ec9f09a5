/** Rows of where guests come from: what is in a system of Debian packages, and which image another one has. */
import type { Row } from './row.js'

const IMAGE = 'guests[].source.image'
const DEBIAN = 'guests[].source.debian'

const image: Row[] = [
  {
    // It was started 41 times before.
    field: `${IMAGE}`,
    at: 'guests.1.source',
    value: { image: 'counter-41.qcow2', format: 'qcow2' },
    where: 'stick',
    ask: 'last_of_counter',
    expected: 'start number 42',
    other: 'start number 1',
  },
  {
    // The name says what it is.
    field: `${IMAGE}`,
    at: 'guests.1.source',
    value: { image: 'counter-41.vmdk' },
    on: 'lean',
    where: 'stick',
    ask: 'last_of_counter',
    expected: 'start number 42',
    other: 'start number 1',
  },
  // Each of them is on a booted stick as a further disk (`guests[].disks[].format`): here its header must agree.
  ...(['vmdk', 'vhdx', 'vhd', 'vdi'] as const).map(
    (format): Row => ({
      field: 'guests[].source.format',
      at: 'guests.1.source.format',
      value: format,
      on: 'fixed',
      where: 'validate',
      ask: '',
      expected: 'wrong-format',
      other: '',
    }),
  ),
  {
    field: 'guests[].source.format',
    at: 'guests.1.source.format',
    value: 'qcow2',
    where: 'validate',
    ask: '',
    expected: '',
    other: 'wrong-format',
  },
]

const file = (field: string, value: string, ask: string, expected: string, other: string): Row => ({
  field: `${DEBIAN}.files[].${field}`,
  value,
  where: 'guest',
  ask,
  expected,
  other,
})

/** Places that the build cleans of what packages bring, where a user's own file stays. */
const CLEANED = ['/var/log/fields.log', '/var/cache/fields', '/usr/share/doc/fields/notes', '/etc/notes-']

const debian: Row[] = [
  // One release is all there is.
  {
    field: `${DEBIAN}.suite`,
    value: 'bookworm',
    where: 'validate',
    ask: '',
    expected: 'not-one-of',
    other: '',
  },
  {
    field: `${DEBIAN}.packages`,
    value: ['qemu-guest-agent', 'tree'],
    where: 'guest',
    ask: 'command -v tree',
    expected: '/usr/bin/tree',
    other: '',
  },
  {
    field: `${DEBIAN}.units`,
    value: ['told.socket'],
    where: 'guest',
    ask: 'systemctl is-enabled told.socket; systemctl is-active told.socket',
    expected: 'enabled\nactive',
    other: 'disabled\ninactive',
  },
  {
    field: `${DEBIAN}.size`,
    value: '3GiB',
    where: 'guest',
    ask: 'lsblk -bnro SIZE /dev/vda3',
    expected: `${(3 * 1024 - 43) * 2 ** 20}`,
    other: `${(2 * 1024 - 43) * 2 ** 20}`,
  },
  file('source', 'two.txt', 'cat $(find /etc/fields* -type f)', 'two', 'one'),
  file('target', '/etc/fields.d/here', 'find /etc/fields* -type f', '/etc/fields.d/here', '/etc/fields'),
  file('mode', '4710', 'stat -c %a $(find /etc/fields* -type f)', '4710', '644'),
  file('owner', 'man:www-data', 'stat -c %U:%G $(find /etc/fields* -type f)', 'man:www-data', 'root:root'),
  ...CLEANED.map(
    (target, index): Row => ({
      field: `${DEBIAN}.files[].target`,
      at: `guests.0.source.debian.files.${index + 3}`,
      value: { source: 'two.txt', target },
      where: 'guest',
      ask: `cat ${target}`,
      expected: 'two',
      other: /No such file/,
    }),
  ),
]

export const SOURCE_ROWS: readonly Row[] = [...image, ...debian]
