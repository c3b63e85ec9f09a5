/**
 * The PC's own network, as far as the guests' network has to know it.
 */

import type { GuestNetwork } from '../guest/definition.js'
import type { Listens, NetworkEvent } from '../guest/report.js'
import { type Machine, must } from './machine.js'

/** What an uplink may wait for: its cards to be taken up, a cable's other end to answer, an address. */
type Awaited = 'cards' | 'link' | 'address'

/**
 * Seconds for each. A gigabit card takes some three to agree with the other end, and reads as unplugged until then; five
 * are what NetworkManager gives it (carrier-wait-timeout). A PC without a cable, or without a DHCP server, is held up by
 * as much.
 */
const PATIENCE: Record<Awaited, number> = { cards: 10, link: 5, address: 10 }

/** Seconds for udev to load the drivers, on a slow PC: no patience runs out before. */
const DRIVERS = 60

/** Milliseconds between two looks. */
const LOOK_EVERY = 500

/** As `host/network.ts` writes it. Not asked of the kernel: at this moment the bridge may not be there yet. */
const BRIDGE = '/etc/systemd/network/10-bridge.netdev'

/** As `host/network.ts` finds them. */
const WIRED = /^(en|eth)/

/** What addresses belong to: cards that are hardware, and the bridge in place of the wired ones in it. */
export function networkCards(machine: Machine): string[] {
  const bridge = bridgeName(machine)
  return [...new Set(hardwareCards(machine).map((card) => addressedAs(card, bridge)))]
}

/** Those of /proc/net/dev that have a device behind them. */
function hardwareCards(machine: Machine): string[] {
  const names = machine.readFile('/proc/net/dev')?.match(/^\s*[^\s:|]+(?=:)/gm) ?? []
  return names.map((name) => name.trim()).filter((name) => machine.exists(`/sys/class/net/${name}/device`))
}

function bridgeName(machine: Machine): string | undefined {
  return /^Name=(.*)$/m.exec(machine.readFile(BRIDGE) ?? '')?.[1]
}

/** Every wired card is in the bridge, where there is one. */
function addressedAs(card: string, bridge: string | undefined): string {
  return bridge !== undefined && WIRED.test(card) ? bridge : card
}

/** udev(7) has this file for as long as it has devices to look after, and drivers to load for them. */
const UDEV_BUSY = '/run/udev/queue'

/** Waits until the PC's cards are known, and each that has a cable in it has an address too. */
export function awaitUplink(machine: Machine): void {
  const began = machine.now()
  const since = new Map<Awaited, number>()
  for (;;) {
    const awaited = awaitedOf(machine)
    if (!awaited) return
    const now = machine.now()
    if (machine.exists(UDEV_BUSY) && now < began + DRIVERS * 1000) since.clear()
    // Never set anew, so that a cable that comes and goes does not hold up the boot for ever.
    const first = since.get(awaited) ?? now
    since.set(awaited, first)
    if (now >= first + PATIENCE[awaited] * 1000) return
    machine.sleep(LOOK_EVERY)
  }
}

/** Undefined when all is known, or nothing more will be. */
function awaitedOf(machine: Machine): Awaited | undefined {
  const cards = hardwareCards(machine)
  if (cards.length === 0) return machine.exists(UDEV_BUSY) ? 'cards' : undefined
  const carrier = (card: string) => machine.readFile(`/sys/class/net/${card}/carrier`)?.trim()
  // A card that is down cannot tell: reading fails, and what was read is empty. networkd takes every wired one up; others
  // may have nothing to connect to.
  if (cards.some((card) => WIRED.test(card) && !carrier(card))) return 'cards'
  const plugged = cards.filter((card) => carrier(card) === '1')
  if (plugged.length === 0) return cards.some(carrier) ? 'link' : undefined
  const devices = routes(machine).map(({ dev }) => dev)
  const bridge = bridgeName(machine)
  return plugged.every((card) => devices.includes(addressedAs(card, bridge))) ? undefined : 'address'
}

/** Subnets that the PC reaches by other ways than the guests' bridge, as `ADDRESS/PREFIX`. */
export function takenSubnets(machine: Machine, network: GuestNetwork): string[] {
  return routes(machine)
    .filter(({ dev, dst }) => dev !== network.bridge && dst !== 'default')
    .map(({ dst }) => dst)
}

interface Route {
  /** `default`, or a subnet. */
  dst: string
  dev: string
}

function routes(machine: Machine): Route[] {
  return JSON.parse(must(machine, ['ip', '-j', '-4', 'route']) || '[]') as Route[]
}

/** What the report says of the network. */
export function readNetwork(machine: Machine, network: GuestNetwork): NetworkEvent {
  return {
    event: 'network',
    addresses: addresses(machine),
    subnet: `${network.gateway}/${network.prefix}`,
    listens: listens(machine),
  }
}

interface Link {
  ifname: string
  addr_info: { local?: string; prefixlen?: number; scope?: string }[]
}

function addresses(machine: Machine): string[] {
  const cards = networkCards(machine)
  const links = JSON.parse(must(machine, ['ip', '-j', 'address']) || '[]') as Link[]
  return links
    .filter(({ ifname }) => cards.includes(ifname))
    .flatMap(({ ifname, addr_info }) =>
      addr_info
        .filter(({ scope }) => scope === 'global')
        .map(({ local, prefixlen }) => `${ifname} ${local}/${prefixlen}`),
    )
}

/** Every socket that takes connections or datagrams (ss(8)): `tcp LISTEN 0 128 0.0.0.0:22 0.0.0.0:*`. */
function listens(machine: Machine): Listens[] {
  return must(machine, ['ss', '-H', '-l', '-n', '-t', '-u'])
    .split('\n')
    .flatMap((line) => {
      const [protocol, , , , local] = line.trim().split(/\s+/)
      if (local === undefined || (protocol !== 'tcp' && protocol !== 'udp')) return []
      const colon = local.lastIndexOf(':')
      return [{ protocol, address: local.slice(0, colon), port: Number(local.slice(colon + 1)) }]
    })
}
