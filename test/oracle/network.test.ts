/**
 * The guests' network against a real kernel, in network namespaces: what reaches what, on a usual PC, and on one whose
 * own network has the guests' subnet.
 */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { systemTools } from '../../src/base/tool.js'
import type { LibraryGuest } from '../../src/guest/definition.js'
import { nftRules } from '../../src/guest/firewall.js'
import { type Placed, placeNetwork } from '../../src/guest/network.js'
import { NETWORK } from '../../src/plan/identity.js'
import { counter } from '../support/guests.js'
import { needTools } from '../support/tools.js'

const SCRIPT = fileURLToPath(new URL('network.sh', import.meta.url))

/** What works where the PC's network is `uplink` (its first three bytes), and the guests' lies so. */
async function works(
  folder: string,
  uplink: string,
  placed: Placed<LibraryGuest>,
  bridged?: string,
): Promise<string[]> {
  const { network, guests } = placed
  const rules = join(folder, 'rules.nft')
  await writeFile(rules, nftRules(network, guests))
  const guest = guests[0]?.nics[0]?.address ?? ''
  const port = String(guests[0]?.ports[0]?.host)
  const addresses = [`${uplink}.1`, `${uplink}.50`, network.gateway, guest]
  const namespaces = ['--user', '--map-root-user', '--net', '--mount', '--pid', '--fork', '--kill-child']
  const args = [...namespaces, 'bash', SCRIPT, rules, ...addresses, port, bridged ?? '']
  // Node need not be in the folders where tools are looked for.
  const env = { NODE: process.execPath }
  const { stdout } = await systemTools.run({ tool: 'unshare', args, env, timeout: 120 })
  return stdout.trim().split('\n')
}

const ALL = [
  'host-reaches-router',
  'host-reaches-internet',
  'guest-reaches-router',
  'guest-reaches-internet',
  'host-reaches-guest',
  'port-leads-to-guest',
  'ssh-is-open',
  'other-port-is-refused',
  'guest-asks-dns',
]

function placed(taken: string, guest = counter): Placed<LibraryGuest> {
  const found = placeNetwork(NETWORK, [guest], [taken])
  if (!found) throw new Error('BUG: no subnet is left')
  return found
}

if (needTools(t, 'unshare', 'ip', 'nft', 'ping')) {
  await t.test('a usual PC', async (t) => {
    t.strictSame(await works(t.testdir(), '192.0.2', placed('192.0.2.0/24')), ALL)
  })

  await t.test("a guest with a second card in the PC's network", async (t) => {
    const nics = [...counter.nics, { mac: '52:54:00:00:00:09', address: null, bridge: 'br0' }]
    const both = placed('192.0.2.0/24', { ...counter, nics })
    t.strictSame(await works(t.testdir(), '192.0.2', both, '192.0.2.60'), ALL)
  })

  await t.test("a PC whose network has the guests' subnet", async (t) => {
    t.strictSame(await works(t.testdir(), '172.29.86', placed('172.29.86.0/24')), ALL)
  })

  await t.test('had the guests stayed on it, they would not reach it', async (t) => {
    const stayed = await works(t.testdir(), '172.29.86', { network: NETWORK, guests: [counter] })
    t.notOk(stayed.includes('guest-reaches-router'), stayed.join(' '))
    t.not(stayed.length, ALL.length)
  })
}
