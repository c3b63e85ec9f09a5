import t from 'tap'
import { packageRequests } from '../../src/plan/packages.js'
import type { Profile } from '../../src/yaml/profile.gen.js'

function request(profile: Profile, set: string): string[] {
  return packageRequests(profile).find((one) => one.set === set)?.packages ?? []
}

const minimal: Profile = { version: 1, name: 'demo' }

t.test('a profile without guests asks for tools and host', async (t) => {
  const requests = packageRequests(minimal)
  t.strictSame(
    requests.map((one) => [one.set, one.suite]),
    [
      ['tools.pack', 'trixie'],
      ['tools.publish', 'trixie'],
      ['host', 'trixie'],
    ],
  )
  for (const { set, packages } of requests) {
    t.strictSame(packages, [...new Set(packages)].sort(), `${set} is sorted and has nothing twice`)
  }
})

t.test('what libvirt only recommends is asked for', async (t) => {
  const packages = request(minimal, 'host')
  for (const name of ['apparmor', 'swtpm-tools', 'dmidecode', 'dnsmasq-base'])
    t.ok(packages.includes(name), name)
})

t.test("the user's packages and those of the settings come with the host's own", async (t) => {
  const own = request(minimal, 'host')
  t.notOk(own.includes('locales') || own.includes('tzdata') || own.includes('tcpdump'))
  const host = { locale: 'de_DE.UTF-8', timezone: 'Europe/Berlin', packages: ['tcpdump', 'systemd'] }
  const added = request({ ...minimal, host }, 'host').filter((name) => !own.includes(name))
  t.strictSame(added, ['locales', 'tcpdump', 'tzdata'])
  const variant = request({ ...minimal, host: { keyboardVariant: 'dvorak' } }, 'host')
  t.ok(variant.includes('console-setup'), 'a variant of the usual layout')
})

t.test('what shares folders comes with the first guest that has one', async (t) => {
  const source = { image: 'a.qcow2', format: 'qcow2' } as const
  const host = (shares: { name: string }[]) =>
    request(
      {
        ...minimal,
        guests: [
          { name: 'a', source },
          { name: 'b', source, shares },
        ],
      },
      'host',
    )
  t.notOk(host([]).includes('virtiofsd'))
  t.strictSame(host([{ name: 'exchange' }]), [...host([]), 'virtiofsd'].sort())
})

t.test('a Debian guest with USB devices has a kernel that knows USB, and one kernel only', async (t) => {
  const kernels = (usb: { vendor: string; product: string }[]) => {
    const profile: Profile = { ...minimal, guests: [{ name: 'a', source: { debian: {} }, usb }] }
    return request(profile, 'guest.a').filter((name) => name.startsWith('linux-image'))
  }
  t.strictSame(kernels([]), ['linux-image-cloud-amd64'])
  t.strictSame(kernels([{ vendor: '046d', product: 'c52b' }]), ['linux-image-amd64'])
})

t.test('guests with the same packages ask for the same list, images for none', async (t) => {
  const requests = packageRequests({
    ...minimal,
    guests: [
      { name: 'a', source: { debian: { packages: ['busybox', 'jq'] } } },
      {
        name: 'b',
        source: { debian: { suite: 'trixie', packages: ['jq', 'busybox'], units: ['x.service'] } },
      },
      { name: 'c', source: { image: 'c.qcow2', format: 'qcow2' } },
    ],
  }).filter((one) => one.set.startsWith('guest.'))
  t.strictSame(
    requests.map((one) => one.set),
    ['guest.a', 'guest.b'],
  )
  t.strictSame(requests[0]?.packages, requests[1]?.packages)
  t.ok(requests[0]?.packages.includes('jq'))
})

t.test('firmware comes from a component of its own, for the host alone', async (t) => {
  const requests = packageRequests({
    ...minimal,
    guests: [{ name: 'a', source: { debian: {} } }],
  })
  t.strictSame(
    requests.map(({ set, component }) => [set, component]),
    [
      ['tools.pack', undefined],
      ['tools.publish', undefined],
      ['host', 'non-free-firmware'],
      ['guest.a', undefined],
    ],
  )
  const none = packageRequests({ ...minimal, host: { firmware: [] } })
  t.notOk(none.some(({ component }) => component))
  const own = request({ ...minimal, host: { firmware: [] } }, 'host')
  t.notOk(own.some((name) => /firmware|microcode/.test(name)))
  const named = request({ ...minimal, host: { firmware: ['intel-wifi', 'microcode'] } }, 'host')
  t.strictSame(
    named.filter((name) => !own.includes(name)),
    ['amd64-microcode', 'firmware-iwlwifi', 'intel-microcode'],
  )
})

t.test('Wi-Fi brings what joins networks, only where one is named', async (t) => {
  const wifi = [{ ssid: 'home', passphrase: { env: 'HOME_WIFI' } }]
  const own = request(minimal, 'host')
  t.strictSame(request({ ...minimal, host: { network: { wifi: [] } } }, 'host'), own)
  t.strictSame(
    request({ ...minimal, host: { network: { wifi } } }, 'host').filter((name) => !own.includes(name)),
    ['wireless-regdb', 'wpasupplicant'],
  )
})
