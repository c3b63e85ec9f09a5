/**
 * Identity: what a guest is known by, derived from the names of the profile and the guest.
 *
 * The same names give the same identity in every build, on every builder; another guest in the profile changes
 * nothing, unless two names should meet in one MAC or address, when the later name in the alphabet gives way.
 * Left out: identities of the stick itself, which are random and made on its first boot.
 */
import { createHash } from 'node:crypto'
import { canonicalJson, derivedUuid } from '../base/digests.js'
import type { GuestNetwork } from '../guest/definition.js'
import { MOST_CARDS } from '../stick/limits.js'

/** QEMU's prefix: locally administered, and known to every tool as a virtual card. */
const MAC_PREFIX = [0x52, 0x54, 0x00]

/** A virtio disk's serial has 20 bytes (virtio 1.2, section 5.2.6, VIRTIO_BLK_T_GET_ID). */
const SERIAL_LENGTH = 20

/** The network that guests are on. The subnet is one that homes and companies hardly use. */
export const NETWORK: GuestNetwork = {
  name: 'keyvisor',
  bridge: 'keyvisor0',
  gateway: '172.29.86.1',
  prefix: 24,
  dhcp: { first: '172.29.86.200', last: '172.29.86.254' },
}

/** Last byte of the first of the guests' own addresses. Above the last are those that dnsmasq gives away. */
const FIRST_ADDRESS = 10

export function guestUuid(profile: string, guest: string): string {
  return derivedUuid('guest', profile, guest)
}

/** Serial of a guest's machine (`machine`) or of one of its disks (`disk-0`). */
export function guestSerial(profile: string, guest: string, part: string): string {
  const digest = words('serial', profile, guest, part).toString('hex').toUpperCase()
  return `KV${digest}`.slice(0, SERIAL_LENGTH)
}

/** One network card that needs an identity. */
export interface Card {
  guest: string
  /** Its place among the guest's cards, from 0. */
  index: number
  /** Where the user gave one. */
  mac?: string
}

export interface CardIdentity {
  /** Lower case. */
  mac: string
  /** IPv4 address on {@link NETWORK}. */
  address: string
}

/** MAC and address of every card of a profile, in the order of `cards`. */
export function identifyCards(profile: string, cards: readonly Card[]): CardIdentity[] {
  if (cards.length > MOST_CARDS) throw new Error(`BUG: ${cards.length} network cards`)
  const macs = new Set(cards.flatMap((card) => card.mac?.toLowerCase() ?? []))
  const hosts = new Set<number>()
  const identities = new Map<Card, CardIdentity>()
  for (const card of [...cards].sort(byName)) {
    const mac = card.mac?.toLowerCase() ?? freeMac(profile, card, macs)
    macs.add(mac)
    const host = freeHost(profile, card, hosts)
    hosts.add(host)
    identities.set(card, { mac, address: NETWORK.gateway.replace(/[0-9]+$/, String(host)) })
  }
  return cards.map((card) => identities.get(card) as CardIdentity)
}

function byName(a: Card, b: Card): number {
  if (a.guest !== b.guest) return a.guest < b.guest ? -1 : 1
  return a.index - b.index
}

function freeMac(profile: string, card: Card, taken: ReadonlySet<string>): string {
  for (let attempt = 0; ; attempt++) {
    const digest = words('mac', profile, card.guest, String(card.index), String(attempt))
    const mac = [...MAC_PREFIX, ...digest.subarray(0, 3)].map((byte) => byte.toString(16).padStart(2, '0'))
    if (!taken.has(mac.join(':'))) return mac.join(':')
  }
}

/** The first free address from the one that the name points to. */
function freeHost(profile: string, card: Card, taken: ReadonlySet<number>): number {
  let place = words('address', profile, card.guest, String(card.index)).readUInt32BE(0) % MOST_CARDS
  while (taken.has(FIRST_ADDRESS + place)) place = (place + 1) % MOST_CARDS
  return FIRST_ADDRESS + place
}

function words(...text: string[]): Buffer {
  return createHash('sha256').update(canonicalJson(text)).digest()
}
