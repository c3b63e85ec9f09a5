/**
 * A host with settings other than the default ones: the names that validation knows are those of its packages, and its
 * root has what makes each setting take effect.
 */
import { mkdirSync, readdirSync, readFileSync, readlinkSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import t from 'tap'
import { removeScratch } from '../../src/base/namespace.js'
import { packageFile } from '../../src/base/package.js'
import { systemTools } from '../../src/base/tool.js'
import { SECTOR } from '../../src/base/units.js'
import { buildImage } from '../../src/pipeline/build.js'
import { Store, storeFolder } from '../../src/store/store.js'
import { OUT } from '../support/built.js'
import { needTools } from '../support/tools.js'

t.setTimeout(1_800_000)

/** The lock and the image stay from one run to the next, so that a later run takes what the store has. */
const LOCK = join(OUT, 'settings.lock.json')
const run = (store: Store) => ({ store, progress: () => {} })

async function settingsRoot(folder: string): Promise<void> {
  const profile = packageFile('fixtures/settings/settings.yaml')
  const store = await Store.open(storeFolder())
  const { image, manifest } = await buildImage({ profile, lock: LOCK, out: OUT }, run(store))
  const first = manifest.layout.partitions.find(({ name }) => name === 'root-a')?.first ?? 0
  const parts = ['etc', 'usr/lib/locale', 'usr/share/zoneinfo', 'usr/lib/systemd/system']
  const args = ['-q', '-n', '-f', '-no-xattrs', '-o', String(first * SECTOR), '-d', folder, image, ...parts]
  await systemTools.run({ tool: 'unsquashfs', args })
}

if (needTools(t, 'mmdebstrap', 'bwrap', 'unshare', 'unsquashfs', 'find')) {
  mkdirSync(OUT, { recursive: true })
  const root = join(OUT, `settings.root.${process.pid}`)
  t.teardown(() => removeScratch(root))
  await settingsRoot(root)
  const read = (path: string) => readFileSync(join(root, path))

  t.test('the keymap is that of the layout and the variant', async (t) => {
    const keymap = gunzipSync(read('etc/console-setup/cached_UTF-8_del.kmap.gz')).toString()
    const plain = (code: number) =>
      new RegExp(`^(?:plain )?keycode ${code} = \\+?(\\S+)`, 'm').exec(keymap)?.[1]
    t.equal(plain(21), 'U+007a', 'z where US keyboards have y')
    t.equal(plain(44), 'U+0079')
    t.equal(plain(39), 'U+00f6', 'ö')
    // dead_acute without the variant; Latin-9, to which German consoles are limited, has no other acute.
    t.equal(plain(13), 'U+0027', 'nodeadkeys')
    t.match(read('etc/console-setup/cached_setup_keyboard.sh').toString(), 'cached_UTF-8_del.kmap.gz')
    t.match(read('etc/default/keyboard').toString(), 'XKBLAYOUT=de\nXKBVARIANT=nodeadkeys\n')
  })

  t.test('units load it, and find nothing to compile anew at each boot', async (t) => {
    const wanted = (target: string) => readdirSync(join(root, `etc/systemd/system/${target}.wants`))
    t.ok(wanted('sysinit.target').includes('keyboard-setup.service'))
    t.ok(wanted('multi-user.target').includes('console-setup.service'))
    const made = (path: string) => statSync(join(root, path)).mtimeMs
    for (const setting of ['etc/default/keyboard', 'etc/default/console-setup']) {
      t.ok(made('etc/console-setup/cached_setup_terminal.sh') > made(setting), `newer than ${setting}`)
    }
  })

  t.test('time zone and locale are there', async (t) => {
    t.equal(readlinkSync(join(root, 'etc/localtime')), '/usr/share/zoneinfo/America/Los_Angeles')
    t.equal(read('usr/share/zoneinfo/America/Los_Angeles').subarray(0, 4).toString(), 'TZif')
    t.equal(read('etc/default/locale').toString(), 'LANG=de_DE.UTF-8@euro\n')
    // As glibc writes the name in its archive.
    t.ok(read('usr/lib/locale/locale-archive').includes('de_DE.utf8@euro\0'))
  })

  t.test('the names of src/stick/names.gen.ts are those of the packages', async (t) => {
    const args = [packageFile('scripts/names.js'), '--check']
    const env = { ...(process.env as Record<string, string>) }
    const { stdout } = await systemTools.run({ tool: process.execPath, args, env, timeout: 1500 })
    t.match(stdout, /ZONES: [34]\d\d\n/)
    t.match(stdout, /LAYOUTS: 1?\d\d\n/)
  })
}

t.test('an account that a package of the user makes is not taken over', async (t) => {
  if (!needTools(t, 'mmdebstrap', 'bwrap', 'unshare')) return
  const folder = join(OUT, 'taken')
  mkdirSync(folder, { recursive: true })
  const profile = join(folder, 'taken.yaml')
  const text =
    'version: 1\nname: taken\nhost:\n  admin: {name: tcpdump}\n  packages: [tcpdump]\n  firmware: []\n'
  writeFileSync(profile, text)
  const store = await Store.open(storeFolder())
  await t.rejects(buildImage({ profile, out: folder }, run(store)), {
    code: 'invalid-profile',
    problems: [
      {
        code: 'reserved-name',
        position: { line: 4, column: 17 },
        path: 'host.admin.name',
        message: 'a package of the host makes an account tcpdump',
      },
    ],
  })
})
