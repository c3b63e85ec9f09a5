/**
 * Builds from one lock give the same bytes: each from an empty store, in folders of different names, one of them with
 * another time zone, umask and language, one as an ordinary user; then one from a full store. Takes some minutes.
 */
import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { sha256File } from '../../src/base/digests.js'
import { silent } from '../../src/base/progress.js'
import { systemTools } from '../../src/base/tool.js'
import { prepare } from '../../src/build/prepare.js'
import { Store, storeFolder } from '../../src/build/store.js'
import { packageFile } from '../../src/debian/namespace.js'
import { needTools, skipAloud } from '../tools.js'
import { type BuildOptions, OTHER_HABITS, startBuild } from './builder.js'

t.setTimeout(3_600_000)

const folder = mkdtempSync(join(tmpdir(), 'keyvisor-reproduce-'))
t.teardown(() => rmSync(folder, { recursive: true, force: true }))

const profile = packageFile('profiles/demo.yaml')
const lock = join(folder, 'demo.lock.json')

/** Builds into a folder of the name, with the store in it that is named; the answer is the image's digest. */
async function build(t: Test, name: string, store: string, options: BuildOptions = {}): Promise<string> {
  const started = Date.now()
  const out = join(folder, name, 'out')
  const { code, output } = await startBuild(store, [profile, '--lock', lock, '--out', out], options).ended
  t.equal(code, 0, output)
  const { sha256 } = await sha256File(join(out, 'demo.img'))
  console.error(`# ${name}: ${sha256} in ${Math.round((Date.now() - started) / 1000)} s`)
  return sha256
}

/** A user of this machine who has subordinate ids (subuid(5)) and can read this package. */
async function ordinaryUser(): Promise<{ uid: string; gid: string } | undefined> {
  if (process.getuid?.() !== 0 || !existsSync('/etc/subuid')) return undefined
  for (const line of readFileSync('/etc/subuid', 'utf8').split('\n')) {
    const name = line.split(':')[0] as string
    const found = await systemTools.run({ tool: 'getent', args: ['passwd', name] }).catch(() => undefined)
    const [, , uid = '', gid = ''] = found?.stdout.split(':') ?? []
    if (name === '' || uid === '' || uid === '0') continue
    const args = [`--reuid=${uid}`, `--regid=${gid}`, '--clear-groups', 'cat', packageFile('package.json')]
    if (await systemTools.run({ tool: 'setpriv', args }).catch(() => undefined)) return { uid, gid }
  }
  return undefined
}

if (needTools(t, 'mmdebstrap', 'bwrap', 'unshare', 'setpriv')) {
  // The user must reach the lock and a folder of their own.
  chmodSync(folder, 0o755)
  const shared = { store: await Store.open(storeFolder()), progress: silent }
  cpSync((await prepare({ profile }, shared)).lockFile, lock)
  chmodSync(lock, 0o644)
  let first = ''

  await t.test('from an empty store', async (t) => {
    first = await build(t, 'one', join(folder, 'one', 'store'))
  })

  await t.test('with another time zone, umask and language, in a folder with a space', async (t) => {
    t.equal(await build(t, 'another one', join(folder, 'another one', 'store'), OTHER_HABITS), first)
  })

  await t.test('as an ordinary user, whose home is closed to others', async (t) => {
    const user = await ordinaryUser()
    if (!user) return skipAloud(t, 'this is not root, or no user with subordinate ids can read this folder')
    const home = join(folder, 'home')
    mkdirSync(home, { mode: 0o700 })
    await systemTools.run({ tool: 'chown', args: [`${user.uid}:${user.gid}`, home] })
    const prefix = ['setpriv', `--reuid=${user.uid}`, `--regid=${user.gid}`, '--clear-groups', '--']
    t.equal(await build(t, 'home', join(home, 'store'), { prefix, env: { HOME: home } }), first)
  })

  await t.test('from a full store', async (t) => {
    t.equal(await build(t, 'two', join(folder, 'one', 'store')), first)
  })

  await t.test('from the shared store', async (t) => {
    t.equal(await build(t, 'three', storeFolder()), first)
  })
}
