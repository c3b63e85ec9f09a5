/** Rows of the host: how it is called, where it is, and who is let in. The network has a file of its own. */
import { FIRMWARE } from '../../src/plan/firmware.js'
import type { Row } from './row.js'

/** Hash of `in the profile` (`openssl passwd -6`). */
const HASH =
  '$6$fields$54G3.PPFMToNOVk6qX3BLPkbyas0gNoQhJAmCFn9i.nkRR8QbGL2Xny5bQGHP4KvijmBOWe95F6aVFcjUIc7R1'
const LISTED_KEY = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMsu9KJ3T3wN4YQBAvDfSbyzMTjn5TWnTqyW6D4/zJ1u listed'

const setting: Row[] = [
  {
    field: 'host.hostname',
    value: 'desk.changed',
    where: 'stick',
    ask: 'hostnamectl hostname',
    expected: 'desk.changed',
    other: 'fields-usual',
  },
  {
    field: 'host.locale',
    value: 'de_DE.UTF-8',
    where: 'stick',
    ask: 'sudo su - "$USER" -c "date --date=2026-03-01 +%B"',
    expected: 'März',
    other: 'March',
  },
  {
    field: 'host.keyboard',
    value: 'de',
    // The key right of T: Z in Germany.
    where: 'stick',
    ask: 'on_key 21',
    expected: 'z',
    other: /^y?$/,
  },
  {
    field: 'host.keyboardVariant',
    value: 'nodeadkeys',
    // The key left of 1: with the layout alone it waits for a letter, to put an accent on it.
    where: 'stick',
    ask: 'on_key 41',
    expected: 'asciicircum',
    other: /^(grave)?$/,
  },
  {
    field: 'host.timezone',
    value: 'Asia/Kolkata',
    where: 'stick',
    ask: 'date +%Z',
    expected: 'IST',
    other: 'UTC',
  },
]

const admin: Row[] = [
  {
    field: 'host.admin.name',
    value: 'ada',
    where: 'stick',
    ask: 'getent passwd 1000 | cut -d: -f1,6,7',
    expected: 'ada:/home/ada:/bin/bash',
    other: 'admin:/home/admin:/bin/bash',
  },
  {
    field: 'host.admin.sshKeys',
    value: [LISTED_KEY],
    where: 'stick',
    ask: 'login_with_key listed',
    expected: 'in',
    other: 'out',
  },
  {
    field: 'host.admin.sshKeyFiles',
    value: ['filed.pub'],
    where: 'stick',
    ask: 'login_with_key filed',
    expected: 'in',
    other: 'out',
  },
  {
    field: 'host.admin.passwordHash',
    value: HASH,
    where: 'stick',
    ask: 'login_with_password "in the profile"',
    expected: 'in',
    other: 'out',
  },
  {
    field: 'host.admin.passwordHash',
    value: HASH,
    where: 'stick',
    ask: 'console_with_password "in the profile"',
    expected: 'in',
    other: 'out',
  },
  {
    field: 'host.admin.passwordHash.file',
    value: 'password.hash',
    on: 'fixed',
    where: 'stick',
    ask: 'login_with_password "in a file"',
    expected: 'in',
    other: 'out',
  },
  {
    field: 'host.admin.passwordHash.env',
    value: 'KEYVISOR_FIELDS_HASH',
    on: 'lean',
    where: 'stick',
    ask: 'login_with_password "in a variable"',
    expected: 'in',
    other: 'out',
  },
]

const packages: Row[] = [
  // One release is all there is.
  {
    field: 'host.suite',
    value: 'bookworm',
    where: 'validate',
    ask: '',
    expected: 'not-one-of',
    other: '',
  },
  {
    field: 'host.packages',
    value: ['tree'],
    where: 'stick',
    ask: 'command -v tree',
    expected: '/usr/bin/tree',
    other: '',
  },
  // Both are for whoever builds. To ask a stick, one would have to have a second archive.
  {
    field: 'host.mirror',
    value: 'https://archive.example/debian',
    where: 'plan',
    ask: 'sources',
    expected: 'deb https://archive.example/debian trixie main',
    other: /^deb (?!.*archive\.example)/,
  },
  {
    field: 'host.snapshots',
    value: ['https://snapshot.example/debian'],
    where: 'plan',
    ask: 'archives',
    expected: 'https://found.example/debian https://snapshot.example/debian',
    other: 'https://found.example/debian',
  },
]

const USUAL_FIRMWARE = 'amd64-microcode firmware-bnx2 firmware-bnx2x firmware-realtek intel-microcode'

const firmware: Row[] = [
  {
    field: 'host.firmware',
    value: ['zd1211'],
    where: 'stick',
    ask: 'cd /usr/lib/firmware; ls -d bnx2 zd1211 2>/dev/null',
    expected: 'zd1211',
    other: 'bnx2',
  },
  {
    field: 'host.firmware',
    value: [],
    on: 'lean',
    where: 'stick',
    ask: 'ls -d /usr/lib/firmware/bnx2 2>/dev/null',
    expected: '',
    other: '/usr/lib/firmware/bnx2',
  },
  ...Object.entries(FIRMWARE).map(
    ([name, { packages }]): Row => ({
      field: 'host.firmware',
      value: [name],
      where: 'plan',
      ask: 'firmware',
      expected: packages.join(' '),
      other: USUAL_FIRMWARE,
    }),
  ),
]

const file = (field: string, value: string, ask: string, expected: string, other: string | RegExp): Row => ({
  field: `host.files[].${field}`,
  value,
  where: 'stick',
  ask,
  expected,
  other,
})

/** Places that the build cleans of what packages bring, where a user's own file stays. */
const CLEANED = [
  '/usr/share/doc/fields/notes',
  '/usr/share/man/man7/fields.7',
  '/usr/share/icons/fields.png',
  '/var/log/fields.log',
  '/var/cache/fields',
  '/etc/apparmor.d/fields',
  '/etc/notes-',
  '/usr/lib/firmware/intel-ucode/fields',
  '/usr/share/locale/fields',
  '/var/tmp/fields',
]

const files: Row[] = [
  file('source', 'two.txt', 'cat $(find /etc/fields* -type f)', 'two', 'one'),
  file('target', '/etc/fields.d/here', 'find /etc/fields* -type f', '/etc/fields.d/here', '/etc/fields'),
  file('mode', '4710', 'stat -c %a $(find /etc/fields* -type f)', '4710', '644'),
  file('owner', 'ada:www-data', 'stat -c %U:%G $(find /etc/fields* -type f)', 'ada:www-data', 'root:root'),
  ...CLEANED.map(
    (target, index): Row => ({
      field: 'host.files[].target',
      at: `host.files.${index + 1}`,
      value: { source: 'two.txt', target },
      where: 'stick',
      ask: `sudo cat ${target}`,
      expected: 'two',
      other: /No such file/,
    }),
  ),
]

export const HOST_ROWS: readonly Row[] = [...setting, ...admin, ...packages, ...firmware, ...files]
