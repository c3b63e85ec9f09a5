import t from 'tap'
import { addressOf, nftRules } from '../../src/guest/firewall.js'
import { NETWORK } from '../../src/plan/identity.js'
import { golden } from '../support/golden.js'
import { bench, counter, guest, locked, old } from '../support/guests.js'

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

t.test('a port leads to the first card behind NAT, not to one on the bridge', async (t) => {
  t.match(nftRules(NETWORK, [bench]), 'tcp dport 8443 dnat ip to 172.29.86.23:443\n')
  t.equal(addressOf(bench), '172.29.86.23')
  const bridged = guest('a', { nics: bench.nics.slice(0, 1), ports: [{ host: 80, guest: 80 }] })
  t.equal(addressOf(bridged), undefined)
  t.notMatch(nftRules(NETWORK, [bridged]), /dnat ip/)
})

t.test('a guest on the bridge, too, is asked for its ports by the host', async (t) => {
  t.match(nftRules(NETWORK, [bench]), 'ip daddr 172.29.86.23 oifname "keyvisor0" ct status dnat masquerade\n')
  t.notMatch(nftRules(NETWORK, [locked]), /dnat masquerade/)
  t.notMatch(nftRules(NETWORK, [{ ...bench, ports: [] }]), /dnat masquerade/)
})
