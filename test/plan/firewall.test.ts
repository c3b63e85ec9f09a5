import t from 'tap'
import { nftRules } from '../../src/plan/firewall.js'
import { NETWORK } from '../../src/plan/identity.js'
import { golden } from './golden.js'
import { counter, guest, locked, old } from './guests.js'

t.test('rules are as they were checked', async (t) => {
  golden(t, 'rules.nft', nftRules(NETWORK, [counter, old, locked]))
})

t.test('without a port nothing is forwarded', async (t) => {
  t.notMatch(nftRules(NETWORK, [guest('a')]), /dnat ip/)
})

t.test('a port of a guest without a network card is left out', async (t) => {
  t.notMatch(nftRules(NETWORK, [guest('a', { nics: [], ports: [{ host: 80, guest: 80 }] })]), /dnat ip/)
})

t.test('a port leads to the first card', async (t) => {
  t.match(nftRules(NETWORK, [locked]), 'tcp dport 2222 dnat ip to 172.29.86.21:22\n')
})
