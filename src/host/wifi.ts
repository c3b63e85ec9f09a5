/**
 * Wi-Fi: the configuration that wpa_supplicant reads on the stick; it holds the passphrases.
 *
 * What starts it where there is a card is in `overlay-wifi/`, which is laid out as `overlay/` is.
 *
 * Spec: wpa_supplicant.conf(5).
 */
import { stretchedDigest } from '../base/digests.js'
import type { Secrets } from '../plan/secrets.js'

/**
 * The text of the file, which belongs to root alone.
 *
 * The passphrase itself and no key made of it, since WPA3 needs it. The digest in the first line is there for who has
 * the digests of a root, as in a manifest, and all of its bytes but these: without it, passphrases could be tried
 * against them as fast as SHA-256 goes.
 */
export function wifiConfiguration(networks: readonly { ssid: string }[], secrets: Secrets): string {
  const blocks = networks.map(({ ssid }, index) => {
    const passphrase = secrets.wifi[index]
    if (!passphrase) throw new Error(`BUG: no passphrase for network ${ssid}`)
    return networkBlock(ssid, passphrase.reveal())
  })
  const text = blocks.join('')
  return `# ${stretchedDigest(text, 'keyvisor wifi')}\n${text}`
}

/** WPA2, and WPA3 where the network has it. A name in hexadecimal needs no quoting; a passphrase ends at the last quote. */
function networkBlock(ssid: string, passphrase: string): string {
  return `network={
\tssid=${Buffer.from(ssid).toString('hex')}
\tkey_mgmt=WPA-PSK WPA-PSK-SHA256 SAE
\tieee80211w=1
\tpsk="${passphrase}"
}
`
}
