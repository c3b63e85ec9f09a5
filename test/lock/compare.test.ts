/** What of a lock does not fit a profile, and what a new lock changes. */
import t from 'tap'
import type { PackageRequest } from '../../src/debian/types.js'
import { lockChanges, misfits } from '../../src/lock/compare.js'
import type { LockedFile, LockRequest } from '../../src/lock/lock.js'
import type { Lock } from '../../src/lock/types.js'
import { item, lockOf } from '../support/locks.js'

const NOTHING: LockRequest = { packages: [], files: {}, mirror: undefined }
const raw = (path: string): LockedFile => ({ path, format: 'raw' })
const set = (name: string, ...packages: string[]): PackageRequest => ({
  set: name,
  suite: 'trixie',
  architecture: 'amd64',
  packages,
})

function words(lock: Lock, request: LockRequest, pins: Lock['files'] = {}): string[] {
  const problems = misfits(lock, request, pins, 'x.lock.json')
  for (const { file, severity } of problems) t.strictSame([file, severity], ['x.lock.json', 'error'])
  return problems.map(({ code, path, message }) => `${code} ${path}: ${message}`)
}

t.test('a lock that fits', async (t) => {
  const packages = [set('host', 'vim'), set('guest.web', 'nginx')]
  const files = { 'guest.box/disk0': { sha256: 'ab', size: 1 } }
  const lock = { ...lockOf({}), asked: packages.toReversed(), files }
  t.strictSame(words(lock, { ...NOTHING, packages, files: { 'guest.box/disk0': raw('/box') } }, files), [])
})

t.test('everything that does not fit, at once', async (t) => {
  const lock = {
    ...lockOf({}),
    asked: [set('host', 'less', 'nano'), set('guest.old', 'vim'), set('guest.web', 'nginx')],
    files: { 'guest.box/disk0': { sha256: 'ab', size: 1 }, 'guest.gone/iso0': { sha256: 'cd', size: 1 } },
  }
  const packages = [
    { ...set('host', 'htop', 'less', 'vim'), component: 'non-free-firmware' },
    { ...set('guest.web', 'nginx'), suite: 'forky', architecture: 'arm64' },
    set('guest.new', 'vim'),
  ]
  const files = {
    'guest.box/disk0': raw('/images/box.raw'),
    'guest.box/disk1': raw('/images/other.raw'),
  }
  const pins = { 'guest.box/disk0': { sha256: 'ef', size: 1 }, 'guest.box/disk1': { sha256: '01', size: 1 } }
  t.strictSame(words(lock, { ...NOTHING, packages, files }, pins), [
    'set-changed host: locked from trixie, and asked from trixie with non-free-firmware',
    'set-changed host: asked for, and not locked: htop, vim',
    'set-changed host: locked, and not asked for any more: nano',
    'set-changed guest.old: locked, and not asked for any more',
    'set-changed guest.web: locked from trixie, and asked from forky',
    'set-changed guest.web: locked for amd64, and asked for arm64',
    'set-changed guest.new: asked for, and not locked',
    'image-changed guest.box/disk0: /images/box.raw has SHA-256 ef, the lock says ab',
    'set-changed guest.gone/iso0: a file is locked, and the profile names none',
    'set-changed guest.box/disk1: its file is not locked',
  ])
})

t.test('packages up, down, new, gone, and with other bytes', async (t) => {
  const before = lockOf({
    host: [
      item('a', 'a1', '1'),
      item('b', 'b1', '1'),
      item('c', 'c1', '1'),
      item('d', 'd1', '1'),
      item('e', 'e', '1'),
    ],
    'guest.web': [item('a', 'a1', '1')],
    'guest.old': [item('c', 'c1', '1')],
  })
  const after = lockOf({
    host: [
      item('a', 'a2', '1.1'),
      item('b', 'b0', '1~rc1'),
      item('d', 'd2', '1'),
      item('e', 'e', '1'),
      item('f', 'f', '3'),
    ],
    'guest.web': [item('a', 'a2', '1.1')],
  })
  t.strictSame(lockChanges(before, after).packages, [
    { name: 'a', change: 'up', from: '1', to: '1.1', sets: ['host', 'guest.web'] },
    { name: 'b', change: 'down', from: '1', to: '1~rc1', sets: ['host'] },
    { name: 'c', change: 'gone', from: '1', to: null, sets: ['host', 'guest.old'] },
    { name: 'd', change: 'bytes', from: '1', to: '1', sets: ['host'] },
    { name: 'f', change: 'new', from: null, to: '3', sets: ['host'] },
  ])
  t.strictSame(lockChanges(after, after), { packages: [], files: [] })
})

t.test('files new, gone, and with other bytes', async (t) => {
  const files = (pins: Record<string, string>) =>
    Object.fromEntries(Object.entries(pins).map(([name, sha256]) => [name, { sha256, size: 1 }]))
  const before = { ...lockOf({}), files: files({ a: '1', b: '1', c: '1' }) }
  const after = { ...lockOf({}), files: files({ a: '1', b: '2', d: '1' }) }
  t.strictSame(lockChanges(before, after).files, [
    { name: 'b', change: 'bytes' },
    { name: 'c', change: 'gone' },
    { name: 'd', change: 'new' },
  ])
})
