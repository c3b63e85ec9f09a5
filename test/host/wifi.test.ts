import t from 'tap'
import { Secret } from '../../src/base/secret.js'
import { wifiConfiguration } from '../../src/host/wifi.js'

const secrets = (...texts: string[]) => ({
  passwordHash: null,
  wifi: texts.map((text) => new Secret(text)),
})

t.test('each network has its passphrase', async (t) => {
  const text = wifiConfiguration([{ ssid: 'home' }, { ssid: 'Büro' }], secrets('hunter22', 'say "hi" #1'))
  const [first, ...lines] = text.split('\n')
  t.match(first, /^# [0-9a-f]{64}$/)
  t.strictSame(
    lines.filter((line) => /ssid=|psk=/.test(line)),
    // UTF-8 of the names: h o m e, B ü r o.
    ['\tssid=686f6d65', '\tpsk="hunter22"', '\tssid=42c3bc726f', '\tpsk="say "hi" #1"'],
  )
  t.throws(() => wifiConfiguration([{ ssid: 'home' }], secrets()), /^BUG/)
})

t.test(
  'the first line changes with the passphrases, so that digests of the root do not tell them',
  async (t) => {
    const first = (text: string) => wifiConfiguration([{ ssid: 'home' }], secrets(text)).split('\n')[0]
    t.not(first('hunter22'), first('hunter23'))
    t.equal(first('hunter22'), first('hunter22'))
  },
)
