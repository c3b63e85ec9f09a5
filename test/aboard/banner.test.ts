import t from 'tap'
import { bannerText, firstBanner } from '../../src/aboard/banner.js'
import { openReport } from '../../src/aboard/report.js'
import { fakeMachine } from '../support/fake.js'
import { counter, guest } from '../support/guests.js'

const files = {
  '/etc/os-release': 'NAME=Keyvisor\nIMAGE_VERSION="0.1.0"\n',
  '/etc/passwd': 'root:x:0:0::/root:/bin/bash\nada:x:1000:1000::/home/ada:/bin/bash\n',
  '/etc/shadow': 'root:!:1::::::\nada:$6$s$h:1::::::\n',
  '/home/ada/.ssh/authorized_keys': 'ssh-ed25519 AAAA\n',
  '/proc/net/dev': 'Inter-|   Receive\n face |bytes\n    lo: 1 2\nenp1s0: 1 2\nkeyvisor0: 1 2\n',
  '/sys/class/net/enp1s0/device': '',
}

t.test('the first banner', async (t) => {
  const text = bannerText(firstBanner(fakeMachine(files), 'demo', [counter, guest('b')]))
  t.equal(
    text,
    `
  Keyvisor 0.1.0 - demo

  Addresses  enp1s0 \\4{enp1s0} \\6{enp1s0}
  Guests     counter: waiting
             b: waiting
  Log in     here, as ada
             ssh ada@ADDRESS, with your key
  Shut down  press the power button, or: sudo poweroff

`,
  )
})

t.test('nobody who can log in, no network card', async (t) => {
  const text = bannerText(firstBanner(fakeMachine({}), '', []))
  t.match(text, 'Log in     nobody can: the profile has neither a key nor a password\n')
  t.match(text, 'Addresses  none: this PC has no network card')
})

t.test('a bridge has the address of the wired cards in it', async (t) => {
  const bridged = {
    ...files,
    '/proc/net/dev': ' face |bytes\n    lo: 1 2\nenp1s0: 1 2\nwlp2s0: 1 2\n',
    '/sys/class/net/wlp2s0/device': '',
    '/etc/systemd/network/10-bridge.netdev': '[NetDev]\nName=br0\nKind=bridge\n',
  }
  t.strictSame(firstBanner(fakeMachine(bridged), 'demo', []).cards, ['br0', 'wlp2s0'])
  const wireless = { ...bridged, '/proc/net/dev': 'wlp2s0: 1 2\n' }
  t.strictSame(firstBanner(fakeMachine(wireless), 'demo', []).cards, ['wlp2s0'])
})

t.test('a card that comes up later is shown with the next event', async (t) => {
  const { '/proc/net/dev': cards, ...early } = files
  const machine = fakeMachine(early)
  const report = openReport(machine, firstBanner(machine, 'demo', [counter]))
  report.starting('counter')
  t.match(machine.files.get('/run/issue.d/20-keyvisor.issue'), 'no network card')
  machine.writeFile('/proc/net/dev', cards)
  report.starting('counter')
  t.match(machine.files.get('/run/issue.d/20-keyvisor.issue'), 'Addresses  enp1s0 ')
})

t.test('what is to be known of a guest stands beside its ports', async (t) => {
  const banner = firstBanner(fakeMachine(files), 'demo', [counter, guest('b')])
  Object.assign(banner.guests[0] ?? {}, { state: 'ready', event: { note: 'its domain is kept' } })
  Object.assign(banner.guests[1] ?? {}, { state: 'ready', event: { note: '' } })
  t.match(bannerText(banner), 'counter: ready (port 8080; its domain is kept)\n')
  t.match(bannerText(banner), /b: ready\n/)
})

t.test('states, ports and problems', async (t) => {
  const banner = firstBanner(fakeMachine(files), 'demo', [counter, guest('b')])
  Object.assign(banner.guests[0] ?? {}, { state: 'ready' })
  Object.assign(banner.guests[1] ?? {}, { state: 'failed', reason: 'a \\4 in its name' })
  banner.problems.push('verity: keyvisor-root is damaged')
  const text = bannerText(banner)
  t.match(text, 'counter: ready (port 8080)\n')
  t.match(text, 'b: failed (a \\\\4 in its name)\n', 'no escape of agetty gets in')
  t.match(text, 'Problems   verity: keyvisor-root is damaged\n')
})

t.test('a PC without hardware virtualization is told so', async (t) => {
  const banner = firstBanner(fakeMachine(files), 'demo', [])
  banner.host = {
    event: 'host',
    name: 'demo',
    firmware: 'bios',
    secureBoot: 'unsupported',
    accelerator: 'tcg',
    memory: 2 ** 32,
    cpus: 2,
    version: 2,
    architecture: 'amd64',
    slot: 'a',
    slots: { a: null, b: null },
    seconds: 1,
  }
  t.match(bannerText(banner), 'This PC    4GiB of memory, 2 CPUs, NO hardware virtualization')
})
