/**
 * The host's way to the network of the PC, as files of systemd-networkd and udev.
 *
 * Left out: the guests' own network, its bridge and all taps, which are libvirt's; the firewall (`guest/firewall.ts`);
 * Wi-Fi, which cannot be bridged: an access point takes frames from the one address that logged in.
 *
 * Spec: systemd.network(5), systemd.netdev(5), systemd.link(5).
 */
import type { HostPlan, Uplink } from '../plan/types.js'

/** Every wired card of the PC, as udev or the kernel names it. */
const CARDS = 'en* eth*'

/** What stands between the cards and the bridge. */
const BOND = 'uplink0'

/** Files of /etc/systemd/network, by name. */
export function networkFiles({ uplink, bridge }: HostPlan): Record<string, string> {
  return bridge === null ? { '10-uplink.network': addressed(CARDS, uplink) } : bridged(bridge, uplink)
}

/** The card or bridge that has the host's address. Without a bridge, every wired card is an uplink. */
function addressed(name: string, uplink: Uplink): string {
  const match = `[Match]\nName=${name}\n\n[Network]\n`
  if (uplink.kind === 'dhcp') return `${match}DHCP=yes\nIPv6AcceptRA=yes\n\n[DHCPv4]\nUseDomains=yes\n`
  const dns = uplink.dns.map((address) => `DNS=${address}\n`).join('')
  return `${match}Address=${uplink.address}\nGateway=${uplink.gateway}\n${dns}`
}

/**
 * All cards are in a bond of which one with a link is active, and the bond is the bridge's one port. Two cards in one
 * switch would else be a loop that takes a foreign network down; STP would prevent it, but switches that guard
 * against foreign STP close the port, and it costs 30 seconds at each start.
 *
 * Bond and bridge take the first card's MAC address, as if they were not there: what the PC's network knows of the PC
 * (a lease, a filter) holds. systemd would else make one from the stick's machine-id, the same in every PC; networkd and
 * udev both have to be told (systemd.netdev(5), MACAddress=).
 */
function bridged(bridge: string, uplink: Uplink): Record<string, string> {
  const device = (name: string, kind: string) => `[NetDev]\nName=${name}\nKind=${kind}\nMACAddress=none\n\n`
  const port = (name: string, of: string) => `[Match]\nName=${name}\n\n[Network]\n${of}\n`
  return {
    '10-bridge.link': `[Match]\nOriginalName=${BOND} ${bridge}\n\n[Link]\nMACAddressPolicy=none\n`,
    '10-bond.netdev': `${device(BOND, 'bond')}[Bond]\nMode=active-backup\nMIIMonitorSec=100ms\n`,
    '10-bridge.netdev': `${device(bridge, 'bridge')}[Bridge]\nSTP=no\nForwardDelaySec=0\n`,
    '10-cards.network': port(CARDS, `Bond=${BOND}`),
    '20-bond.network': port(BOND, `Bridge=${bridge}`),
    '30-uplink.network': addressed(bridge, uplink),
  }
}
