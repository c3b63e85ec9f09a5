/**
 * Secrets in a real build: nothing that is printed, recorded or published has them, and the host's root has each only
 * where it is used.
 */
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { removeScratch } from '../../src/base/namespace.js'
import { systemTools } from '../../src/base/tool.js'
import { SECTOR } from '../../src/base/units.js'
import { planText } from '../../src/cli/plan-text.js'
import { buildImage } from '../../src/pipeline/build.js'
import { planReport } from '../../src/preview/preview.js'
import { Store, storeFolder } from '../../src/store/store.js'
import { OUT } from '../support/built.js'
import { needTools } from '../support/tools.js'

t.setTimeout(600_000)

const PASSPHRASE = 'correct #horse battery'
const HASH =
  '$6$keyvisortest$f3sZ/0kOIJjtDUEIzbAoJqFR2hW6yCQ8BjWCw2nkwgvuyUbY3FhlTJF8RpU8k5b6m1v2vCGa8gW6YhQ0wWkZA/'
const SECRETS = [PASSPHRASE, HASH]

const PROFILE = `version: 1
name: secrets
host:
  firmware: [intel-wifi]
  admin: {passwordHash: {file: hash}}
  network: {wifi: [{ssid: home, passphrase: {env: KEYVISOR_TEST_WIFI}}]}
`

/** The lock and the image stay from one run to the next, so that a later run takes what the store has. */
const folder = join(OUT, 'secrets')
const file = join(folder, 'secrets.yaml')

/** The host's root, unpacked; only its owner can read all of it. */
async function unpackRoot(
  image: string,
  manifest: { layout: { partitions: { name: string; first: number }[] } },
) {
  const first = manifest.layout.partitions.find(({ name }) => name === 'root-a')?.first ?? 0
  const root = join(folder, `root.${process.pid}`)
  const args = ['-q', '-n', '-no-xattrs', '-o', String(first * SECTOR), '-d', root, image]
  await systemTools.run({ tool: 'unsquashfs', args })
  return root
}

t.test('a build with secrets', async (t) => {
  if (!needTools(t, 'mmdebstrap', 'bwrap', 'unshare', 'unsquashfs', 'grep')) return
  mkdirSync(folder, { recursive: true })
  writeFileSync(file, PROFILE)
  writeFileSync(join(folder, 'hash'), `${HASH}\n`)
  process.env['KEYVISOR_TEST_WIFI'] = PASSPHRASE
  const store = await Store.open(storeFolder())
  const events: unknown[] = []
  const run = { store, progress: (event: unknown) => void events.push(event) }
  const { image, manifestFile, manifest, lockFile } = await buildImage({ profile: file, out: folder }, run)
  const on = { memory: 4 << 30, cpus: 2, kvm: true }
  const report = await planReport({ profile: file, on }, run)

  const records = readdirSync(join(store.folder, 'records')).map((name) =>
    readFileSync(join(store.folder, 'records', name), 'utf8'),
  )
  const texts: Record<string, string> = {
    manifest: readFileSync(manifestFile, 'utf8'),
    lock: readFileSync(lockFile, 'utf8'),
    'plan as JSON': JSON.stringify(report),
    'plan as text': planText(report, { width: 80, color: false }),
    progress: JSON.stringify(events),
    'records of the store': records.join('\n'),
  }
  for (const [name, text] of Object.entries(texts)) {
    t.ok(text.length > 100, `there is a ${name}`)
    for (const secret of SECRETS) t.notOk(text.includes(secret), `no secret in ${name}`)
  }
  t.equal(statSync(image).mode & 0o077, 0, 'the image is for its owner only')

  const root = await unpackRoot(image, manifest)
  t.teardown(() => removeScratch(root))
  t.strictSame(await filesWith(root, PASSPHRASE), ['etc/wpa_supplicant/keyvisor.conf'])
  t.strictSame(await filesWith(root, HASH), ['etc/shadow'])
  t.equal(statSync(join(root, 'etc/wpa_supplicant/keyvisor.conf')).mode & 0o777, 0o600)
  const line = readFileSync(join(root, 'etc/shadow'), 'utf8')
    .split('\n')
    .find((one) => one.startsWith('admin:'))
  t.equal(line?.split(':')[1], HASH)
  t.equal(Number(line?.split(':')[2]), Math.floor(manifest.epoch / 86_400), "changed on the build's day")
})

/** Files below a folder that hold a text, by their path in it. */
async function filesWith(root: string, text: string): Promise<string[]> {
  const { stdout } = await systemTools.run({ tool: 'grep', args: ['-rlaF', '-e', text, root] })
  return stdout
    .trim()
    .split('\n')
    .map((path) => path.slice(root.length + 1))
}
