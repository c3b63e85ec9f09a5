import t from 'tap'
import { placeNetwork } from '../../src/guest/network.js'
import { NETWORK } from '../../src/plan/identity.js'
import { counter, locked } from '../support/guests.js'

const guests = [counter, locked]
const place = (...taken: string[]) => placeNetwork(NETWORK, guests, taken)

t.test('nothing moves without need', async (t) => {
  for (const taken of [[], ['10.0.2.0/24'], ['172.29.85.0/24', '172.29.87.0/24'], ['172.16.0.0/13']]) {
    t.strictSame(place(...taken), { network: NETWORK, guests }, taken.join(' '))
  }
})

t.test('it moves from every subnet that has an address in common', async (t) => {
  const taken = ['172.29.86.0/24', '172.29.86.77', '172.29.86.128/25', '172.28.0.0/15', '172.29.0.0/16']
  for (const subnet of taken) t.equal(place(subnet)?.network.gateway, '172.30.86.1', subnet)
  t.equal(place('172.16.0.0/12')?.network.gateway, '10.213.86.1')
  t.equal(place('172.16.0.0/12', '10.0.0.0/8')?.network.gateway, '192.168.213.1')
  t.equal(place('128.0.0.0/1')?.network.gateway, '10.213.86.1')
  t.equal(place('0.0.0.0/0'), undefined)
})

t.test('every address moves, and nothing else changes', async (t) => {
  const placed = place('172.29.86.0/24')
  t.strictSame(placed?.network, {
    ...NETWORK,
    gateway: '172.30.86.1',
    dhcp: { first: '172.30.86.200', last: '172.30.86.254' },
  })
  const back = JSON.parse(JSON.stringify(placed).replaceAll('172.30.86.', '172.29.86.'))
  t.strictSame(back, { network: NETWORK, guests })
  t.notMatch(JSON.stringify(placed), '172.29.86.')
})
