/** Rows of the host's network. The PC's is QEMU's: 10.0.2.0/24, on which the router takes any address of its own for it. */
import type { Row } from './row.js'

const UPLINK = 'host.network.uplink'
const WIFI = 'host.network.wifi[]'

/** What a stick says on which no Wi-Fi is named. */
const NO_WIFI = /^(?!up$)/

export const NETWORK_ROWS: readonly Row[] = [
  {
    // The prefix tells it from the address that DHCP gives; another address would not be found by this test.
    field: `${UPLINK}.address`,
    value: '10.0.2.15/25',
    on: 'fixed',
    where: 'stick',
    ask: `ip -4 -br address | grep -o '10\\.0\\.2\\.[0-9/]*'`,
    expected: '10.0.2.15/25',
    other: '10.0.2.15/24',
  },
  {
    field: `${UPLINK}.gateway`,
    value: '10.0.2.3',
    on: 'fixed',
    where: 'stick',
    ask: `ip route show default | cut -d' ' -f3`,
    expected: '10.0.2.3',
    other: '10.0.2.2',
  },
  {
    field: `${UPLINK}.dns`,
    value: ['10.0.2.9', '10.0.2.10'],
    on: 'fixed',
    where: 'stick',
    ask: `grep ^nameserver /etc/resolv.conf | cut -d' ' -f2 | paste -sd' '`,
    expected: '10.0.2.9 10.0.2.10',
    other: '10.0.2.3',
  },
  {
    field: 'host.network.bridge',
    value: true,
    where: 'stick',
    ask: `ip -4 -br address show br0 2>/dev/null | awk '{print $3}'`,
    expected: '10.0.2.15/24',
    other: '',
  },
  {
    field: `${WIFI}.ssid`,
    value: 'office',
    where: 'stick',
    ask: `join_wifi office 'correct horse'`,
    expected: 'up',
    other: NO_WIFI,
  },
  {
    field: `${WIFI}.passphrase.file`,
    value: 'office.passphrase',
    where: 'stick',
    ask: `join_wifi office 'correct horse'`,
    expected: 'up',
    other: NO_WIFI,
  },
  {
    field: `${WIFI}.passphrase.env`,
    at: 'host.network.wifi.1.passphrase.env',
    value: 'KEYVISOR_FIELDS_WIFI',
    where: 'stick',
    ask: `join_wifi home 'battery staple'`,
    expected: 'up',
    other: NO_WIFI,
  },
]
