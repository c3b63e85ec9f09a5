/**
 * Firewall: the stick's nftables rules, one table, made from the guests' network and ports.
 *
 * Free of `node:` imports: the stick runs this file under qjs and gives the result to `nft -f`.
 * Left out: rules of the user's own, which belong in a table of another name; IPv6 for guests, whose network has
 * none: the forward chain drops it. What passes from port to port of the host's own bridge is not routed, and so not
 * seen here (unless somebody loads br_netfilter, which nothing on the host does). Guests on that bridge are to these
 * rules as any other machine of the PC's network: they reach SSH and the declared ports, nothing else of host and guests.
 *
 * Spec: nft(8). Loading the text again replaces the table in one transaction.
 */
import type { Guest, GuestNetwork } from './definition.js'

/** The rules. Guests reach the PC's network through the host; from there only forwarded ports reach a guest. */
export function nftRules(network: GuestNetwork, guests: readonly Guest<unknown>[]): string {
  const bridge = `"${network.bridge}"`
  return `table inet keyvisor
delete table inet keyvisor
table inet keyvisor {
  chain input {
    type filter hook input priority filter; policy drop;
    ct state established,related accept
    ct state invalid drop
    iif "lo" accept
    meta l4proto { icmp, ipv6-icmp } accept
    # Answers to DHCPv6 are no part of a connection that was opened.
    ip6 saddr fe80::/10 udp dport 546 accept
    iifname ${bridge} udp dport { 53, 67 } accept
    iifname ${bridge} tcp dport 53 accept
    # Not from guests: they have no business with the host itself.
    iifname != ${bridge} tcp dport 22 accept
    # Whoever asks for something else is told at once, and need not wait in vain.
    meta l4proto tcp reject with tcp reset
  }
  chain forward {
    type filter hook forward priority filter; policy drop;
    ct state established,related accept
    ct state invalid drop
    iifname ${bridge} accept
    oifname ${bridge} ct status dnat accept
  }
  chain prerouting {
    type nat hook prerouting priority dstnat; policy accept;
${forwards(bridge, guests).join('')}  }
  chain postrouting {
    type nat hook postrouting priority srcnat; policy accept;
    ip saddr ${network.gateway}/${network.prefix} oifname != ${bridge} masquerade
${detours(bridge, guests).join('')}  }
}
`
}

/** A guest's address on the guests' network, where its ports lead: that of its first card there. */
export function addressOf(guest: Guest<unknown>): string | undefined {
  return guest.nics.find((card) => card.address !== null)?.address ?? undefined
}

/** One rule for each port that a guest with a network card has forwarded. */
function forwards(bridge: string, guests: readonly Guest<unknown>[]): string[] {
  return guests.flatMap((guest) => {
    const address = addressOf(guest)
    if (address === undefined) return []
    return guest.ports.map(
      (port) =>
        `    iifname != ${bridge} fib daddr type local tcp dport ${port.host} dnat ip to ${address}:${port.guest}\n`,
    )
  })
}

/**
 * A guest that has a card in the PC's network would answer through that card, from an address that nobody asked. So the
 * host asks it under its own address, and the answer comes back the same way.
 */
function detours(bridge: string, guests: readonly Guest<unknown>[]): string[] {
  return guests.flatMap((guest) => {
    const address = addressOf(guest)
    const isBridged = guest.nics.some((card) => card.address === null)
    if (address === undefined || !isBridged || guest.ports.length === 0) return []
    return [`    ip daddr ${address} oifname ${bridge} ct status dnat masquerade\n`]
  })
}
