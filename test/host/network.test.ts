import t from 'tap'
import { networkFiles } from '../../src/host/network.js'
import type { HostPlan, Uplink } from '../../src/plan/types.js'

const DHCP: Uplink = { kind: 'dhcp' }
const FIXED: Uplink = { kind: 'static', address: '192.0.2.7/24', gateway: '192.0.2.1', dns: ['192.0.2.53'] }
const files = (uplink: Uplink, bridge: string | null) => networkFiles({ uplink, bridge } as HostPlan)

t.test('without a bridge every wired card is an uplink', async (t) => {
  t.strictSame(Object.keys(files(DHCP, null)), ['10-uplink.network'])
  t.match(files(DHCP, null)['10-uplink.network'], /^\[Match\]\nName=en\* eth\*\n\n\[Network\]\nDHCP=yes\n/)
})

t.test('cards are in a bond, the bond is in the bridge, and the bridge alone has the address', async (t) => {
  for (const [uplink, address] of [
    [DHCP, /^DHCP=yes$/m],
    [FIXED, /^Address=192\.0\.2\.7\/24\nGateway=192\.0\.2\.1\nDNS=192\.0\.2\.53$/m],
  ] as const) {
    const all = files(uplink, 'br0')
    t.equal(all['10-cards.network'], '[Match]\nName=en* eth*\n\n[Network]\nBond=uplink0\n')
    t.equal(all['20-bond.network'], '[Match]\nName=uplink0\n\n[Network]\nBridge=br0\n')
    t.match(all['30-uplink.network'], /^\[Match\]\nName=br0\n/)
    const addressed = Object.keys(all).filter((name) => address.test(all[name] as string))
    t.strictSame(addressed, ['30-uplink.network'])
  }
})

t.test('no card in two places: what one file matches, no other of its kind does', async (t) => {
  const names = Object.entries(files(DHCP, 'br0'))
    .filter(([name]) => name.endsWith('.network'))
    .flatMap(([, text]) => /^Name=(.*)$/m.exec(text)?.[1]?.split(' ') ?? [])
  t.strictSame(names.sort(), ['br0', 'en*', 'eth*', 'uplink0'])
})

t.test('neither networkd nor udev gives bond or bridge a MAC address of its own', async (t) => {
  const all = files(DHCP, 'br0')
  for (const name of ['10-bond.netdev', '10-bridge.netdev']) t.match(all[name], /^MACAddress=none$/m, name)
  t.equal(all['10-bridge.link'], '[Match]\nOriginalName=uplink0 br0\n\n[Link]\nMACAddressPolicy=none\n')
})

t.test('one card of the bond at a time, and no STP into a foreign network', async (t) => {
  const all = files(DHCP, 'br0')
  t.match(
    all['10-bond.netdev'],
    /\nName=uplink0\nKind=bond\n[\s\S]*\n\[Bond\]\nMode=active-backup\nMIIMonitorSec=100ms\n/,
  )
  t.match(all['10-bridge.netdev'], /\nName=br0\nKind=bridge\n[\s\S]*\n\[Bridge\]\nSTP=no\n/)
})
