/**
 * The guests' network, as libvirt has it.
 *
 * Free of `node:` imports: the stick runs this file under qjs. Left out: its place (`network.ts`), its rules (`firewall.ts`).
 *
 * Spec: libvirt's network XML format (libvirt.org/formatnetwork.html).
 */
import { text } from '../base/xml.js'
import type { Guest, GuestNetwork } from './definition.js'

/**
 * The libvirt network that guests are on. libvirt gives it a bridge and dnsmasq, with a fixed address for each
 * guest; mode `open` leaves the firewall alone, since `firewall.ts` writes the rules.
 */
export function networkXml(network: GuestNetwork, guests: readonly Guest<unknown>[]): string {
  const hosts = guests.flatMap((guest) =>
    guest.nics
      .filter((card) => card.address !== null)
      .map((card, index) => dhcpHost(card, index === 0 ? guest.name : `${guest.name}-${index + 1}`)),
  )
  return `<network>
  <name>${text(network.name)}</name>
  <forward mode='open'/>
  <bridge name='${text(network.bridge)}' stp='off' delay='0'/>
  <domain name='${text(network.name)}.internal' localOnly='yes'/>
  <ip address='${network.gateway}' prefix='${network.prefix}'>
    <dhcp>
      <range start='${network.dhcp.first}' end='${network.dhcp.last}'/>
${hosts.map((host) => `      ${host}\n`).join('')}    </dhcp>
  </ip>
</network>
`
}

function dhcpHost(card: { mac: string; address: string }, name: string): string {
  return `<host mac='${text(card.mac)}' name='${text(name)}' ip='${text(card.address)}'/>`
}
