import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { sha256 } from '../../src/base/digests.js'
import { replaceFile, Store, storeFolder, storeLimit } from '../../src/store/store.js'
import { killedAt } from '../support/killed.js'
import { skipAloud } from '../support/tools.js'

const open = async (t: { testdir(): string }) => Store.open(join(t.testdir(), 'store'))

/** A file in the store's scratch, as a stage leaves it. */
async function scratchFile(store: Store, text: string): Promise<string> {
  const path = join(await store.scratch('test'), 'file')
  writeFileSync(path, text)
  return path
}

/** Everything that stands under a final name. */
const finals = (folder: string) =>
  ['objects', 'records', 'trees'].flatMap((name) =>
    (
      readdirSync(join(folder, name), { recursive: true, withFileTypes: true }) as {
        name: string
        isFile(): boolean
      }[]
    )
      .filter((entry) => entry.isFile())
      .map((entry) => entry.name),
  )

t.test('the store is where the environment says, else in the cache', async (t) => {
  t.equal(storeFolder({ KEYVISOR_STORE: '/a', XDG_CACHE_HOME: '/b' }), '/a')
  t.equal(storeFolder({ XDG_CACHE_HOME: '/b' }), '/b/keyvisor')
  t.equal(
    storeFolder({ KEYVISOR_STORE: 'a b' }),
    join(process.cwd(), 'a b'),
    'absolute, whoever reads it later',
  )
  // The XDG specification: relative paths are ignored.
  for (const cache of ['', 'rel', './rel'])
    t.equal(storeFolder({ XDG_CACHE_HOME: cache, HOME: '/home/a' }), '/home/a/.cache/keyvisor')
  const own = join(userInfo().homedir, '.cache/keyvisor')
  t.equal(storeFolder({}), own)
  t.equal(storeFolder({ HOME: '' }), own, 'and never the current folder')
  t.throws(() => storeFolder({ HOME: 'rel' }), { code: 'no-home' })
})

t.test('an object is a moved file under its digest, and read-only', async (t) => {
  const store = await open(t)
  const file = await scratchFile(store, 'bytes')
  const object = await store.add(file)
  t.strictSame(object, { path: store.objectPath(sha256('bytes')), sha256: sha256('bytes'), size: 5 })
  t.equal(readFileSync(object.path, 'utf8'), 'bytes')
  t.equal(statSync(object.path).mode & 0o777, 0o444)
  t.notOk(existsSync(file))
  t.ok(await store.has(object.sha256, 5))
  t.notOk(await store.has(object.sha256, 6))
  t.notOk(await store.has(sha256('other'), 5))
})

t.test('bytes that were not expected are refused, and not kept', async (t) => {
  const store = await open(t)
  const file = await scratchFile(store, 'bytes')
  await t.rejects(store.add(file, sha256('other')), { code: 'digest-mismatch', message: sha256('bytes') })
  t.strictSame(finals(store.folder), [])
})

t.test('the same object may come many times at once', async (t) => {
  const store = await open(t)
  const other = await Store.open(store.folder)
  const files = await Promise.all(Array.from({ length: 20 }, () => scratchFile(store, 'same')))
  const added = await Promise.all(files.map((file, index) => (index % 2 ? store : other).add(file)))
  for (const object of added) t.strictSame(object, added[0])
  t.strictSame(finals(store.folder), [sha256('same')])
  t.ok(await store.verified(sha256('same'), 4))
})

t.test('a damaged object is removed, and never given', async (t) => {
  const store = await open(t)
  for (const damage of ['bytez', 'byte', '']) {
    const { path, sha256: digest, size } = await store.add(await scratchFile(store, 'bytes'))
    t.ok(await store.verified(digest, size))
    chmodSync(path, 0o644)
    writeFileSync(path, damage)
    t.equal(await store.verified(digest, size), undefined, JSON.stringify(damage))
    t.notOk(existsSync(path))
  }
  t.equal(await store.verified(sha256('never'), 5), undefined)
})

t.test('a linked object is the same file', async (t) => {
  const store = await open(t)
  const { path, sha256: digest } = await store.add(await scratchFile(store, 'bytes'))
  const target = join(await store.scratch('link'), 'target')
  await store.linkObject(digest, target)
  t.equal(statSync(target).ino, statSync(path).ino)
})

t.test('a record comes back as it went; a damaged one is none', async (t) => {
  const store = await open(t)
  const key = sha256('key')
  t.equal(await store.readRecord(key), undefined)
  const record = {
    stage: 'disk.counter',
    objects: { tree: { sha256: sha256('x'), size: 1 } },
    facts: { rootHash: 'ab', deep: [1, null] },
  }
  await store.writeRecord(key, record)
  t.strictSame(await store.readRecord(key), record)
  for (const damage of [
    '{"objects": {',
    '',
    'null',
    '[]',
    '{}',
    '{"objects":{}}',
    '7',
    '{"objects":{"a":1},"facts":{}}',
  ]) {
    writeFileSync(join(store.folder, 'records', `${key}.json`), damage)
    t.equal(await store.readRecord(key), undefined, damage)
  }
})

// -------------------------------------------------------------------------------------------- scratch

t.test('scratch of a living build is kept, that of an ended one is stale', async (t) => {
  const store = await open(t)
  const mine = await store.scratch('tree.host')
  const namespace = /\d+/.exec(readlinkSync('/proc/self/ns/pid'))?.[0]
  // The largest pid of Linux is 2^22 (proc(5), pid_max): this one never lives.
  const dead = join(store.folder, 'tmp', `${namespace}-4194305-tree.host-00000000`)
  mkdirSync(dead)
  t.strictSame(await store.staleScratch(), [dead])
  t.ok(existsSync(mine))
})

t.test('scratch of another pid namespace is kept for a day: its pids mean nothing here', async (t) => {
  const store = await open(t)
  const foreign = join(store.folder, 'tmp', '1-4194305-tree.host-00000000')
  mkdirSync(foreign)
  t.strictSame(await store.staleScratch(), [])
  const yesterday = Date.now() / 1000 - 25 * 3600
  utimesSync(foreign, yesterday, yesterday)
  t.strictSame(await store.staleScratch(), [foreign])
})

t.test('scratch folders of one stage do not collide', async (t) => {
  const store = await open(t)
  const folders = await Promise.all(Array.from({ length: 10 }, () => store.scratch('same')))
  t.equal(new Set(folders).size, 10)
})

// ------------------------------------------------------------------------------------------- last use

t.test('a use shows in the times of what was used', async (t) => {
  const store = await open(t)
  const { path, sha256: digest, size } = await store.add(await scratchFile(store, 'bytes'))
  t.ok(Date.now() - statSync(path).mtimeMs < 60_000, 'an object is used when it comes')
  const long = new Date('2020-01-01')
  utimesSync(path, long, long)
  await store.has(digest, size)
  t.equal(statSync(path).mtimeMs, long.getTime(), 'to be seen is not to be used')
  await store.verified(digest, size)
  t.ok(Date.now() - statSync(path).mtimeMs < 60_000)
})

t.test('a lease says since when somebody is at work', async (t) => {
  const store = await open(t)
  t.equal(await store.leasedSince(), Number.POSITIVE_INFINITY)
  const before = Date.now() - 1000
  await store.leased(async () => {
    const since = await store.leasedSince()
    t.ok(since > before && since <= Date.now() + 1000)
    await store.leased(async () => t.ok((await store.leasedSince()) <= since + 1000, 'the oldest counts'))
    t.ok((await store.leasedSince()) < Number.POSITIVE_INFINITY)
  })
  t.equal(await store.leasedSince(), Number.POSITIVE_INFINITY)
  await t.rejects(
    store.leased(() => Promise.reject(new Error('no luck'))),
    { message: 'no luck' },
  )
  t.strictSame(readdirSync(join(store.folder, 'tmp')), [], 'a lease ends with its work, however that ends')
})

t.test('the lease of a killed build is stale', async (t) => {
  const store = await open(t)
  await killedAt(
    'rename',
    `const store = await Store.open('${store.folder}')
    await store.leased(() => replaceFile('${join(store.folder, 'x')}', 'text'))`,
  )
  t.match(readdirSync(join(store.folder, 'tmp')), [/-lease-/])
  t.equal(await store.leasedSince(), Number.POSITIVE_INFINITY)
  t.equal((await store.staleScratch()).length, 1)
})

t.test('the limit of the environment', async (t) => {
  t.equal(storeLimit({}), undefined)
  t.equal(storeLimit({ KEYVISOR_STORE_LIMIT: '20GiB' }), 20 * 2 ** 30)
  t.throws(() => storeLimit({ KEYVISOR_STORE_LIMIT: '20G' }), { code: 'bad-store-limit', exitCode: 2 })
})

// ---------------------------------------------------------------------------------- killed in between

t.test('a build that is killed before a rename leaves nothing under a final name', async (t) => {
  const store = await open(t)
  const file = await scratchFile(store, 'bytes')
  await killedAt('rename', `const store = await Store.open('${store.folder}'); await store.add('${file}')`)
  t.strictSame(finals(store.folder), [])
  await killedAt(
    'rename',
    `const store = await Store.open('${store.folder}')
     await store.writeRecord('${sha256('key')}', { stage: '', objects: {}, facts: {} })`,
  )
  t.strictSame(finals(store.folder), [])
  const left = readdirSync(join(store.folder, 'tmp')).filter((name) => !file.includes(name))
  t.equal(left.length, 1, 'the record that was being written is left in tmp')
  const stale = await store.staleScratch()
  t.strictSame(stale, [join(store.folder, 'tmp', left[0] as string)], 'and known as stale')
})

t.test('a file that is being replaced is the old one until it is the new one', async (t) => {
  const path = join(t.testdir({ file: 'old' }), 'file')
  await killedAt('rename', `await replaceFile('${path}', 'new')`)
  t.equal(readFileSync(path, 'utf8'), 'old')
  await replaceFile(path, 'new')
  t.equal(readFileSync(path, 'utf8'), 'new')
})

t.test('a file that cannot be replaced leaves no other', async (t) => {
  const folder = t.testdir({ file: {} })
  await t.rejects(replaceFile(join(folder, 'file'), 'new'), { code: /EISDIR|ENOTEMPTY|EEXIST/ })
  t.strictSame(readdirSync(folder), ['file'])
})

t.test('a store that cannot be written says so', async (t) => {
  const folder = t.testdir({ file: '', closed: {} })
  const error = { code: 'store-unusable', message: folder, hint: /KEYVISOR_STORE/ }
  await t.rejects(Store.open(join(folder, 'file')), error)
  if (process.getuid?.() === 0) return skipAloud(t, 'root may write a read-only folder')
  const closed = join(folder, 'closed')
  chmodSync(closed, 0o555)
  await t.rejects(Store.open(join(closed, 'store')), error)
  // tap removes the folder, and must be able to.
  chmodSync(closed, 0o755)
})
