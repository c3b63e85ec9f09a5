/** `lock`, and builds that are locked or offline, as a user runs them: with locks made by hand, and no network. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { canonicalJson, sha256 } from '../../src/base/digests.js'
import { silent } from '../../src/base/progress.js'
import { loadProfile, Store } from '../../src/index.js'
import { writeLock } from '../../src/lock/lock.js'
import { lockQuestion } from '../../src/prepare/prepare.js'
import { type Ended, keyvisor } from '../support/command.js'
import { answeringLock } from '../support/locks.js'
import { needTools } from '../support/tools.js'

const PROFILE = `version: 1
name: small
host: {admin: {passwordHash: $6$salt$${'a'.repeat(86)}}}
guests:
  - {name: box, source: {image: box.raw, format: raw}, memory: {min: 256MiB, max: 256MiB}, ready: none}
`

/** A folder with a profile and a lock that answers it. */
async function bench(t: Pick<Test, 'testdir'>) {
  const cwd = t.testdir({ 'a.yaml': PROFILE, 'box.raw': Buffer.alloc(512, 'a'), store: {} })
  const store = await Store.open(join(cwd, 'store'))
  const profile = join(cwd, 'a.yaml')
  const { path, request } = lockQuestion({ profile }, (await loadProfile(profile)).profile)
  await writeLock(path, await answeringLock(request, { store, progress: silent }))
  const env = { KEYVISOR_STORE: store.folder }
  return { cwd, path, run: (...args: string[]) => keyvisor(args, { cwd, env }) }
}

t.test('a lock that answers its profile stays as it is', async (t) => {
  const { path, run } = await bench(t)
  const before = readFileSync(path, 'utf8')
  const { code, stdout, stderr } = await run('lock', 'a.yaml')
  t.equal(code, 0, stderr)
  t.equal(stderr, '')
  t.match(
    stdout,
    /^a\.lock\.json is unchanged: it matches the profile\n {2}tools {12}\d+ packages, .*\n {2}artifacts {8}\d+ packages, /,
  )
  t.match(stdout, /^ {2}guest box disk0 {2}512B, SHA-256 [0-9a-f]{64}$/m)
  t.equal(readFileSync(path, 'utf8'), before)
})

t.test('an image that changed is locked anew by lock, and refused by build', async (t) => {
  const { cwd, path, run } = await bench(t)
  const before = JSON.parse(readFileSync(path, 'utf8'))
  writeFileSync(join(cwd, 'box.raw'), Buffer.alloc(512, 'b'))
  const refused = await run('build', 'a.yaml')
  t.equal(refused.code, 1)
  t.match(refused.stderr, /^a\.lock\.json: error image-changed: guest\.box\/disk0: .*box\.raw has SHA-256 /)
  t.match(refused.stderr, /hint: take the change: keyvisor lock a\.yaml\n$/)
  const { code, stdout, stderr } = await run('lock', 'a.yaml')
  t.equal(code, 0, stderr)
  t.match(stdout, /^wrote a\.lock\.json anew\n/)
  t.match(stdout, /\n\nchanged: 1 other bytes\n {2}other bytes {2}guest box disk0\n$/)
  const after = JSON.parse(readFileSync(path, 'utf8'))
  t.strictSame({ ...after, files: before.files }, before, 'nothing else changed')
})

t.test('lock --json', async (t) => {
  const { run } = await bench(t)
  const { code, stdout, stderr } = await run('lock', 'a.yaml', '--json')
  t.equal(code, 0, stderr)
  t.match(JSON.parse(stdout), {
    profile: 'a.yaml',
    lock: { path: 'a.lock.json', made: false },
    epoch: 1,
    sets: [{ set: 'tools.pack' }, { set: 'tools.publish' }, { set: 'host', packages: Number, size: Number }],
    files: [{ name: 'guest.box/disk0', size: 512 }],
    changes: { packages: [], files: [] },
    warnings: [],
  })
})

t.test('build --locked and --offline say what they lack', async (t) => {
  const { cwd, path, run } = await bench(t)
  const asked = ['--locked', '--offline'].map((way) => run('build', 'a.yaml', '--lock', 'b.lock.json', way))
  const [lack, alike] = (await Promise.all(asked)) as [Ended, Ended]
  t.equal(lack.code, 1)
  t.equal(
    lack.stderr,
    'keyvisor: there is no lock b.lock.json\n' +
      '  hint: create it on a machine with network access: keyvisor lock a.yaml --lock b.lock.json\n',
  )
  t.equal(alike.stderr, lack.stderr)
  writeFileSync(join(cwd, 'a.yaml'), PROFILE.replace('{admin:', '{packages: [htop, vim], admin:'))
  const unfit = await run('build', 'a.yaml', '--locked', '--json')
  t.equal(unfit.code, 1)
  t.match(JSON.parse(unfit.stdout), {
    code: 'lock-unfit',
    problems: [{ file: 'a.lock.json', path: 'host', message: 'asked for, and not locked: htop, vim' }],
  })
  t.ok(existsSync(path))
})

t.test('a lock of version 1 keeps its packages, and is written as version 2', async (t) => {
  const { path, run } = await bench(t)
  const current = readFileSync(path, 'utf8')
  const { files, asked, requests: _, ...rest } = JSON.parse(current)
  const packages = asked.map(({ architecture: _, ...set }: Record<string, unknown>) => set)
  const requests = sha256(canonicalJson({ packages, images: ['box'] }))
  const images = { box: files['guest.box/disk0'] }
  const old = JSON.stringify({ ...rest, version: 1, requests, asked: packages, images })
  writeFileSync(path, old)
  if (needTools(t, 'mmdebstrap', 'unshare')) {
    const locked = await run('build', 'a.yaml', '--locked', '--offline')
    t.match(locked.stderr, /^keyvisor: the store lacks these locked packages/, 'the lock itself is taken')
    t.equal(readFileSync(path, 'utf8'), old)
  }
  const taken = await run('lock', 'a.yaml', '--offline')
  t.equal(taken.code, 0, taken.stderr)
  t.match(taken.stderr, /write a\.lock\.json as version 2, with the same packages/)
  t.match(taken.stdout, /^wrote a\.lock\.json anew\n[\s\S]*\n\nnothing in it changed\n$/)
  t.strictSame(JSON.parse(readFileSync(path, 'utf8')), JSON.parse(current))
  writeFileSync(path, '{"version": 3}')
  const newer = await run('lock', 'a.yaml')
  t.equal(newer.code, 1)
  t.match(
    newer.stderr,
    /^keyvisor: the lock a\.lock\.json is of version 3, and this Keyvisor reads up to version 2\n/,
  )
})

t.test('lock --offline takes images anew, and chooses no versions', async (t) => {
  const { cwd, path, run } = await bench(t)
  writeFileSync(join(cwd, 'box.raw'), Buffer.alloc(512, 'b'))
  const taken = await run('lock', 'a.yaml', '--offline')
  t.equal(taken.code, 0, taken.stderr)
  t.match(taken.stdout, /^wrote a\.lock\.json anew\n/)
  const before = readFileSync(path, 'utf8')
  writeFileSync(join(cwd, 'a.yaml'), PROFILE.replace('{admin:', '{packages: [htop], admin:'))
  const unfit = await run('lock', 'a.yaml', '--offline')
  t.equal(unfit.code, 1)
  t.match(unfit.stderr, /^a\.lock\.json: error .*: host: asked for, and not locked: htop$/m)
  t.match(
    unfit.stderr,
    /\n {2}hint: look at what changed, then create it anew on a machine with network access: keyvisor lock a\.yaml\n$/,
  )
  t.equal(readFileSync(path, 'utf8'), before)
})

t.test('build --offline names every package that the store lacks', async (t) => {
  if (!needTools(t, 'mmdebstrap', 'unshare')) return
  const { cwd, run } = await bench(t)
  const { code, stderr } = await run('build', 'a.yaml', '--locked', '--offline')
  t.equal(code, 1)
  t.match(
    stderr,
    /^keyvisor: the store lacks these locked packages, and nothing is fetched: .*, systemd 1:2, /,
  )
  t.match(stderr, /\n {2}hint: build once without --offline, which fetches them\n$/)
  t.notOk(existsSync(join(cwd, 'out', 'small.img')))
})

t.test('a lock in a folder that is not there', async (t) => {
  const { run } = await bench(t)
  const verbs = ['lock', 'build', 'plan']
  const answers = verbs.map((verb) => run(verb, 'a.yaml', '--lock', 'nowhere/a.lock.json'))
  for (const { code, stderr } of await Promise.all(answers)) {
    t.equal(code, 1)
    t.match(
      stderr,
      /^keyvisor: the lock nowhere\/a\.lock\.json cannot be written: there is no folder nowhere\n/,
    )
  }
})
