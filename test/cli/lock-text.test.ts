/** What `lock` prints, from plain structures. */
import t from 'tap'
import { lockText } from '../../src/cli/lock-text.js'
import { type LockReport, MiB } from '../../src/index.js'

const REPORT: LockReport = {
  profile: 'a.yaml',
  lock: { path: 'a.lock.json', made: true },
  epoch: 1_767_225_600,
  sets: [
    { set: 'tools.pack', packages: 112, size: 45 * MiB },
    { set: 'host', packages: 272, size: 217 * MiB },
    { set: 'guest.web', packages: 9, size: MiB },
  ],
  files: [{ name: 'guest.box/disk0', sha256: 'ab', size: 3 * MiB }],
  changes: null,
  warnings: [],
}

const SUMMARY = `
  tools            112 packages, 45MiB
  host             272 packages, 217MiB
  guest web        9 packages, 1MiB
  guest box disk0  3MiB, SHA-256 ab
  date             2026-01-01, of the newest package index`

t.test('a first lock', async (t) => {
  t.equal(lockText(REPORT), `wrote a.lock.json: keep it, and each build has the same packages${SUMMARY}`)
})

t.test('a lock that is as it was', async (t) => {
  const report = { ...REPORT, lock: { ...REPORT.lock, made: false }, changes: { packages: [], files: [] } }
  t.equal(lockText(report), `a.lock.json is unchanged: it matches the profile${SUMMARY}`)
})

t.test('a new lock and what it changes', async (t) => {
  const changes: LockReport['changes'] = {
    packages: [
      {
        name: 'libc6',
        change: 'up',
        from: '2.41-1',
        to: '2.41-2',
        sets: ['tools.pack', 'host', 'guest.web'],
      },
      { name: 'nano', change: 'gone', from: '8.4', to: null, sets: ['host'] },
      { name: 'vim', change: 'new', from: null, to: '2:9.1', sets: ['host'] },
      { name: 'zstd', change: 'down', from: '1.6', to: '1.5', sets: ['host'] },
    ],
    files: [{ name: 'guest.box/disk0', change: 'bytes' }],
  }
  t.equal(
    lockText({ ...REPORT, changes }),
    `wrote a.lock.json anew${SUMMARY}

changed: 1 up, 1 down, 1 new, 1 gone, 1 other bytes
  up           libc6 2.41-1 to 2.41-2  (tools, host, guest web)
  gone         nano 8.4  (host)
  new          vim 2:9.1  (host)
  down         zstd 1.6 to 1.5  (host)
  other bytes  guest box disk0`,
  )
  t.match(lockText({ ...REPORT, changes: { packages: [], files: [] } }), /\n\nnothing in it changed$/)
})
