/**
 * The guests' network on the PC of the day: it gives way when the PC's own network has the same addresses.
 *
 * Free of `node:` imports: the stick runs this file under qjs.
 * Left out: finding out what the PC's network is (`aboard/uplink.ts`).
 */
import { overlap } from '../base/ipv4.js'
import type { Guest, GuestNetwork } from './definition.js'

/**
 * Where the network goes when its own subnet is taken, in this order; each is a /24, as the network is. Private
 * (RFC 1918), far apart, and ones that homes and companies hardly use.
 */
const OTHER_SUBNETS = ['172.30.86', '10.213.86', '192.168.213']

/** What lies on the guests' network. */
export interface Placed<G extends Guest<unknown>> {
  network: GuestNetwork
  guests: G[]
}

/**
 * The network and its guests where no taken subnet overlaps it: unchanged when that is so already, else with the same
 * host numbers on another subnet.
 *
 * @param taken subnets that the PC reaches otherwise, as `ADDRESS/PREFIX`; a lone address is a /32
 * @returns undefined when every subnet is taken
 */
export function placeNetwork<G extends Guest<unknown>>(
  network: GuestNetwork,
  guests: readonly G[],
  taken: readonly string[],
): Placed<G> | undefined {
  const subnet = [subnetOf(network.gateway), ...OTHER_SUBNETS].find((candidate) =>
    taken.every((other) => !overlap(`${candidate}.0/${network.prefix}`, other)),
  )
  if (subnet === undefined) return undefined
  const move = (address: string) => `${subnet}.${address.slice(address.lastIndexOf('.') + 1)}`
  const { first, last } = network.dhcp
  return {
    network: {
      ...network,
      gateway: move(network.gateway),
      dhcp: { first: move(first), last: move(last) },
    },
    guests: guests.map((guest) => ({
      ...guest,
      nics: guest.nics.map((nic) => ({ ...nic, address: nic.address && move(nic.address) })),
    })),
  }
}

/** The first three bytes, which a /24 has for its own. */
function subnetOf(address: string): string {
  return address.slice(0, address.lastIndexOf('.'))
}
