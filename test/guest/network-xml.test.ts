import t from 'tap'
import { networkXml } from '../../src/guest/network-xml.js'
import { NETWORK } from '../../src/plan/identity.js'
import { golden } from '../support/golden.js'
import { bench, counter, locked, old } from '../support/guests.js'

t.test('the network is as it was checked', async (t) => {
  golden(t, 'network.xml', networkXml(NETWORK, [counter, old, locked]))
})

t.test('a card on the bridge has no address on the network of ours', async (t) => {
  const xml = networkXml(NETWORK, [bench])
  t.match(xml, "<host mac='52:54:00:12:34:5a' name='bench' ip='172.29.86.23'/>")
  t.notMatch(xml, '52:54:00:12:34:59')
})
