/**
 * Builds that are locked: without any network from nothing but the packages, with the same bytes; and refused as a whole
 * when a version is nowhere. The short form of test/long/reproduce.test.ts: a host without guests.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { sha256, sha256File } from '../../src/base/digests.js'
import { packageFile } from '../../src/base/package.js'
import type { ProgressEvent } from '../../src/base/progress.js'
import type { LockedPackage } from '../../src/debian/types.js'
import { writeLock } from '../../src/lock/lock.js'
import type { Lock } from '../../src/lock/types.js'
import { storeFolder } from '../../src/store/store.js'
import { startBuild } from '../support/builders/builder.js'
import { OTHER_HABITS, packagesFrom } from '../support/builders/elsewhere.js'
import { built } from '../support/built.js'
import { needTools, skipAloud } from '../support/tools.js'

t.setTimeout(1_800_000)

const folder = packageFile(`out/test/locked-${process.pid}`)
mkdirSync(folder, { recursive: true })
t.teardown(() => rmSync(folder, { recursive: true, force: true }))

const profile = packageFile('profiles/minimal.yaml')

if (needTools(t, 'mmdebstrap', 'bwrap', 'unshare')) {
  const { image, lockFile } = await built('minimal')
  const lock = JSON.parse(readFileSync(lockFile, 'utf8')) as Lock

  await t.test('one locked version that is nowhere ends a build before it begins', async (t) => {
    const store = join(folder, 'another store')
    await packagesFrom(lock, storeFolder(), store)
    const path = join(folder, 'gone.lock.json')
    const [id, item] = Object.entries(lock.packages).find(([, { name }]) => name === 'nftables') as [
      string,
      LockedPackage,
    ]
    const gone = { ...item, version: '0~never', sha256: sha256('never') }
    await writeLock(path, { ...lock, packages: { ...lock.packages, [id]: gone } })
    const out = join(folder, 'gone')
    for (const [strict, words] of [
      [['--locked'], 'package-gone","message":"no archive has these locked packages: nftables 0~never"'],
      [['--locked', '--offline'], 'and nothing is fetched: nftables 0~never"'],
    ] as const) {
      const started: string[] = []
      const onEvent = (event: ProgressEvent) => event.kind === 'start' && started.push(event.stage)
      const args = [profile, '--lock', path, '--out', out, ...strict]
      const { code, output } = await startBuild(store, args, { onEvent }).ended
      t.equal(code, 1, output)
      t.match(output, words)
      t.strictSame(started, strict.length === 1 ? ['fetch'] : [], 'nothing was built')
    }
    t.notOk(existsSync(join(out, 'minimal.img')))
    const records = readdirSync(join(store, 'records')).map((name) =>
      readFileSync(join(store, 'records', name), 'utf8'),
    )
    // What was remembered of the builder's own tools is nobody's result.
    t.strictSame(
      records.filter((text) => JSON.parse(text).stage !== ''),
      [],
    )
  })

  await t.test('checked without network and under other habits, a build has the same bytes', async (t) => {
    const root = process.getuid?.() === 0
    if (!root) skipAloud(t, 'only root can take the network from a build and leave it its ids')
    const prefix = [...(root ? ['unshare', '--net'] : []), ...OTHER_HABITS.options.prefix]
    const args = [profile, '--lock', lockFile, '--out', join(folder, 'out')]
    const strict = ['--locked', '--offline', '--check']
    const options = { prefix, env: OTHER_HABITS.options.env }
    const { code, output } = await startBuild(storeFolder(), [...args, ...strict], options).ended
    t.equal(code, 0, output)
    // The second build of the check was made from the locked packages alone.
    const { sha256 } = await sha256File(image)
    t.match(output, `"checked":"${sha256}"`)
    t.equal((await sha256File(join(folder, 'out', 'minimal.img'))).sha256, sha256)
  })
}
