/** What of a lock does not fit a profile, and what a new lock changes. */
import t from 'tap'
import type { PackageRequest } from '../../src/debian/types.js'
import { lockChanges, misfits } from '../../src/lock/compare.js'
import type { LockRequest } from '../../src/lock/lock.js'
import type { Lock } from '../../src/lock/types.js'
import { item, lockOf } from '../support/locks.js'

const NOTHING: LockRequest = { packages: [], images: {}, mirror: undefined }
const set = (name: string, ...packages: string[]): PackageRequest => ({
  set: name,
  suite: 'trixie',
  packages,
})

function words(lock: Lock, request: LockRequest, pins: Lock['images'] = {}): string[] {
  const problems = misfits(lock, request, pins, 'x.lock.json')
  for (const { file, severity } of problems) t.strictSame([file, severity], ['x.lock.json', 'error'])
  return problems.map(({ code, path, message }) => `${code} ${path}: ${message}`)
}

t.test('a lock that fits', async (t) => {
  const packages = [set('host', 'vim'), set('guest.web', 'nginx')]
  const images = { box: { sha256: 'ab', size: 1 } }
  const lock = { ...lockOf({}), asked: packages.toReversed(), images }
  t.strictSame(words(lock, { ...NOTHING, packages, images: { box: '/box' } }, images), [])
})

t.test('everything that does not fit, at once', async (t) => {
  const lock = {
    ...lockOf({}),
    asked: [set('host', 'less', 'nano'), set('guest.old', 'vim'), set('guest.web', 'nginx')],
    images: { box: { sha256: 'ab', size: 1 }, gone: { sha256: 'cd', size: 1 } },
  }
  const packages = [
    { ...set('host', 'htop', 'less', 'vim'), component: 'non-free-firmware' },
    { ...set('guest.web', 'nginx'), suite: 'forky' },
    set('guest.new', 'vim'),
  ]
  const images = { box: '/images/box.raw', other: '/images/other.raw' }
  const pins = { box: { sha256: 'ef', size: 1 }, other: { sha256: '01', size: 1 } }
  t.strictSame(words(lock, { ...NOTHING, packages, images }, pins), [
    'set-changed host: locked from trixie, and asked from trixie with non-free-firmware',
    'set-changed host: asked for, and not locked: htop, vim',
    'set-changed host: locked, and not asked for any more: nano',
    'set-changed guest.old: locked, and not asked for any more',
    'set-changed guest.web: locked from trixie, and asked from forky',
    'set-changed guest.new: asked for, and not locked',
    'image-changed guest.box: /images/box.raw has SHA-256 ef, the lock says ab',
    'set-changed guest.gone: an image is locked, and the profile names none',
    'set-changed guest.other: its image is not locked',
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
  t.strictSame(lockChanges(after, after), { packages: [], images: [] })
})

t.test('images new, gone, and with other bytes', async (t) => {
  const images = (pins: Record<string, string>) =>
    Object.fromEntries(Object.entries(pins).map(([guest, sha256]) => [guest, { sha256, size: 1 }]))
  const before = { ...lockOf({}), images: images({ a: '1', b: '1', c: '1' }) }
  const after = { ...lockOf({}), images: images({ a: '1', b: '2', d: '1' }) }
  t.strictSame(lockChanges(before, after).images, [
    { guest: 'b', change: 'bytes' },
    { guest: 'c', change: 'gone' },
    { guest: 'd', change: 'new' },
  ])
})
