import { chmodSync, mkdirSync, readdirSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { sha256 } from '../../src/base/digests.js'
import { contentsText, healthText, prunedText } from '../../src/cli/store-text.js'
import { parseTime } from '../../src/cli/verbs/store.js'
import { Store } from '../../src/store/store.js'
import { keyvisor } from '../support/command.js'
import { needTools } from '../support/tools.js'

/** A store with a stage of one object and a package; `days` ago both were used. */
async function filled(folder: string, days: number): Promise<Store> {
  const store = await Store.open(join(folder, 'store'))
  const time = new Date(Date.now() - days * 24 * 3600 * 1000)
  for (const text of ['root', 'package']) {
    const file = await store.scratchPath('test')
    writeFileSync(file, text)
    const { path } = await store.add(file)
    utimesSync(path, time, time)
  }
  const objects = { root: { sha256: sha256('root'), size: 4 } }
  await store.writeRecord(sha256('key'), { stage: 'root', objects, facts: {} })
  utimesSync(store.recordPath(sha256('key')), time, time)
  return store
}

t.test('ls, prune and verify', async (t) => {
  if (!needTools(t, 'unshare')) return
  const folder = t.testdir()
  const store = await filled(folder, 40)
  const run = (...args: string[]) => keyvisor(['store', ...args], { env: { KEYVISOR_STORE: store.folder } })

  const listed = await run('ls')
  t.equal(listed.code, 0)
  t.match(listed.stdout, /^stage root +\d+KiB {2}40 days ago {2}[0-9a-f]{12}$/m)
  t.match(listed.stdout, /^1 package +4KiB {2}40 days ago$/m)
  t.match(JSON.parse((await run('ls', '--json')).stdout), {
    folder: store.folder,
    total: Number,
    stale: [],
    entries: [{ kind: String, key: String, lastUse: Number, size: Number }, {}],
  })

  t.match(await run('verify'), { code: 0, stdout: /^sound: 2 objects \(11B\), 1 records and 0 tools trees/ })
  const object = store.objectPath(sha256('root'))
  chmodSync(object, 0o644)
  writeFileSync(object, 'roof')
  const damaged = await run('verify')
  t.equal(damaged.code, 1)
  t.match(damaged.stdout, `object ${sha256('root')} of root: its bytes have the digest ${sha256('roof')}`)
  t.match(damaged.stdout, /^DAMAGED: /m)
  t.match(JSON.parse((await run('verify', '--json')).stdout), { damage: [], objects: 1 })

  const pruned = await run('prune', '--older-than', '30d')
  t.match(pruned, { code: 0, stdout: /^removed 1 package\nthe store takes 0B\n$/ })
  t.match(await run('prune', '--max-size', '0B'), { code: 0, stdout: /^nothing to remove\n/ })
  t.match(JSON.parse((await run('prune', '--max-size', '0B', '--json')).stdout), { removed: [], total: 0 })
  t.strictSame(readdirSync(join(store.folder, 'records')), [])
})

t.test('what prune is told', async (t) => {
  const store = await filled(t.testdir(), 1)
  const run = (args: string[], env: Record<string, string> = {}) =>
    keyvisor(['store', 'prune', ...args], { env: { KEYVISOR_STORE: store.folder, ...env } })
  t.match(await run([]), { code: 2, stderr: /nothing says what to remove\n {2}hint: add --max-size/ })
  t.match(await run(['--max-size', '10G']), { code: 2, stderr: /"10G" is not a size such as 10GiB/ })
  t.match(await run(['--older-than', '30']), { code: 2, stderr: /"30" is no time such as 30d or 12h/ })
  const limit = await run([], { KEYVISOR_STORE_LIMIT: '10' })
  t.match(limit, { code: 2, stderr: /KEYVISOR_STORE_LIMIT is "10", which is not a size\n {2}hint: / })
  t.match(await run([], { KEYVISOR_STORE_LIMIT: '10GiB' }), { code: 0, stdout: /^nothing to remove\n/ })
  t.equal(parseTime('12h'), 12 * 3600)
  t.equal(parseTime('2d'), 48 * 3600)
})

t.test('an empty store', async (t) => {
  const folder = join(t.testdir(), 'store')
  const { code, stdout } = await keyvisor(['store', 'ls'], { env: { KEYVISOR_STORE: folder } })
  t.equal(code, 0)
  t.equal(stdout, `nothing yet\n0B in ${folder}\n`)
  mkdirSync(join(folder, 'tmp/1-1-lease-00000000'))
})

t.test('words', async (t) => {
  const hour = 3600 * 1000
  const entry = { key: 'ab'.repeat(32), objects: [], size: 1024, lastUse: 0 }
  const text = contentsText(
    {
      folder: '/store',
      objects: new Map(),
      total: 4096,
      stale: ['/store/tmp/a', '/store/tmp/b'],
      entries: [
        { ...entry, kind: 'tree', stage: '' },
        { ...entry, kind: 'stage', stage: '', lastUse: 60 * hour },
        { ...entry, kind: 'stage', stage: 'disk.counter', lastUse: 75 * hour },
      ],
    },
    75.5 * hour,
  )
  t.equal(
    text,
    [
      '                           size  last use    key',
      'stage disk.counter         1KiB  now         abababababab',
      'stage of an older version  1KiB  15 h ago    abababababab',
      'tools tree                 1KiB  3 days ago  abababababab',
      '4KiB in /store',
      'there is scratch of killed builds (2 folders or files) in tmp/: the next build removes it',
    ].join('\n'),
  )
  const removed = [
    { ...entry, kind: 'tree' as const, stage: '' },
    { ...entry, kind: 'object' as const, stage: '' },
    { ...entry, kind: 'object' as const, stage: '' },
  ]
  t.equal(
    prunedText({ removed, total: 2048, inUse: true }),
    'removed 1 tools tree, 2 packages\nthe store takes 2KiB\nthe rest is in use by a running build, and was kept',
  )
  const damage = [{ kind: 'tree' as const, key: 'ab', reason: 'it is odd', stages: [] }]
  const health = { folder: '/store', objects: 2, records: 1, trees: 1, bytes: 7, damage, stale: [] }
  t.match(healthText(health), /^tools tree ab: it is odd\nDAMAGED: 2 objects \(7B\), 1 records and 1 tools/)
})
