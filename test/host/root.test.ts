import t from 'tap'
import { keyedFiles, type TarEntry } from '../../src/debian/files.js'
import { hostEntries } from '../../src/host/root.js'
import { packageRequests } from '../../src/plan/packages.js'
import { makePlan } from '../../src/plan/plan.js'
import type { HostPlan } from '../../src/plan/types.js'
import type { Profile } from '../../src/yaml/profile.gen.js'

const KEY = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ0 ada'

function planned(host: Profile['host'] = {}): HostPlan {
  const lock = {
    version: 1 as const,
    epoch: 1,
    requests: '',
    asked: [],
    sources: {},
    packages: {},
    sets: {},
    files: {},
  }
  const files = { folder: '/', sshKeyFiles: {}, virtualSizes: {} }
  return makePlan({ version: 1, name: 'demo', host }, lock, files).host
}

const text = (entries: TarEntry[], target: string): string | undefined => {
  const from = entries.findLast((entry) => entry.target === target)?.from
  return from && 'text' in from ? from.text : undefined
}

t.test('what the profile decides stands in the root', async (t) => {
  const host = planned({
    hostname: 'stick',
    locale: 'de_DE.UTF-8',
    keyboard: 'de',
    admin: { name: 'ada', sshKeys: [KEY] },
    network: { uplink: { address: '192.0.2.7/24', gateway: '192.0.2.1', dns: ['192.0.2.53', '192.0.2.54'] } },
  })
  const entries = await hostEntries(host, 'amd64')
  t.equal(text(entries, '/etc/hostname'), 'stick\n')
  t.match(text(entries, '/etc/hosts'), '127.0.1.1 stick\n')
  t.equal(text(entries, '/etc/locale.conf'), 'LANG=de_DE.UTF-8\n')
  t.match(text(entries, '/etc/default/keyboard'), 'XKBLAYOUT=de\n')
  t.equal(text(entries, '/etc/ssh/authorized_keys/ada'), `${KEY}\n`)
  t.equal(
    text(entries, '/etc/systemd/network/10-uplink.network'),
    '[Match]\nName=en* eth*\n\n[Network]\nAddress=192.0.2.7/24\nGateway=192.0.2.1\nDNS=192.0.2.53\nDNS=192.0.2.54\n',
  )
})

t.test('a keyboard without Latin letters comes after one that has them', async (t) => {
  const lines = async (keyboard: string, keyboardVariant?: string) => {
    const host = planned({ keyboard, ...(keyboardVariant === undefined ? {} : { keyboardVariant }) })
    return text(await hostEntries(host, 'amd64'), '/etc/default/keyboard')?.match(
      /(?<=LAYOUT=|VARIANT=|OPTIONS=).*$/gm,
    )
  }
  t.strictSame(await lines('de', 'nodeadkeys'), ['de', 'nodeadkeys', ''])
  t.strictSame(await lines('ru'), ['us,ru', ',', 'grp:alt_shift_toggle'])
  t.strictSame(await lines('gr', 'polytonic'), ['us,gr', ',polytonic', 'grp:alt_shift_toggle'])
})

t.test('an uplink by DHCP', async (t) => {
  const entries = await hostEntries(planned(), 'amd64')
  t.match(text(entries, '/etc/systemd/network/10-uplink.network'), 'DHCP=yes\n')
  t.equal(text(entries, '/etc/ssh/authorized_keys/admin'), '', 'no key of anybody')
})

t.test('what joins Wi-Fi networks comes where there are some, and without their passphrases', async (t) => {
  const added = async (host: Profile['host']) => {
    const own = new Set((await hostEntries(planned(), 'amd64')).map(({ target }) => target))
    return (await hostEntries(planned(host), 'amd64'))
      .map(({ target }) => target)
      .filter((target) => !own.has(target))
  }
  t.strictSame(await added({ network: { wifi: [] } }), [])
  const wifi = [{ ssid: 'home', passphrase: { env: 'HOME_WIFI' } }]
  t.strictSame((await added({ network: { wifi } })).sort(), [
    '/etc/systemd/network/20-wifi.network',
    '/etc/systemd/system/keyvisor-wifi@.service',
    '/etc/udev/rules.d/90-keyvisor-wifi.rules',
  ])
})

t.test('the programs of the stick come with all that they import, and no node: among it', async (t) => {
  const modules = (await hostEntries(planned(), 'amd64')).filter(({ target }) =>
    target.startsWith('/usr/lib/keyvisor/'),
  )
  const targets = modules.map(({ target }) => target)
  t.ok(targets.includes('/usr/lib/keyvisor/aboard/main.js'))
  t.ok(targets.includes('/usr/lib/keyvisor/guest/sizing.js'))
  t.ok(targets.includes('/usr/lib/keyvisor/base/units.js'))
  t.notOk(
    targets.some((target) => target.includes('/build/')),
    'nothing of the builder',
  )
})

t.test('entries of two profiles differ exactly where the profiles do', async (t) => {
  t.strictSame(
    (await keyedFiles(await hostEntries(planned(), 'amd64'), [])).toJSON(),
    (await keyedFiles(await hostEntries(planned({}), 'amd64'), [])).toJSON(),
  )
  const other = await hostEntries(planned({ hostname: 'other' }), 'amd64')
  const base = await hostEntries(planned(), 'amd64')
  const changed = base.filter(({ target }) => text(base, target) !== text(other, target)).map((e) => e.target)
  t.strictSame(changed, ['/etc/hostname', '/etc/hosts'])
})

t.test('GRUB, kernel and shim of the stick come from Debian', async (t) => {
  const sets = packageRequests({ version: 1, name: 'demo' })
  const packages = (set: string) => sets.find((request) => request.set === set)?.packages ?? []
  t.ok(packages('host').some((name) => name.startsWith('linux-image-')))
  for (const name of ['shim-signed', 'grub-efi-amd64-signed', 'grub-common']) {
    t.ok(packages('tools.pack').includes(name), name)
  }
})
