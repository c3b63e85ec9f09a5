/**
 * Wi-Fi and secrets from a boot: the stick joins a network of simulated radios with the passphrase that its root has, and
 * neither that nor the password hash is in anything that it reports, logs or keeps.
 */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { withTrial } from '../../src/lab/trial.js'
import { isEvent, onStick, openStick, SHUTDOWN, serialText, waitFor } from '../support/demo.js'

const PASSPHRASE = 'correct #horse battery'
const HASH =
  '$6$keyvisortest$f3sZ/0kOIJjtDUEIzbAoJqFR2hW6yCQ8BjWCw2nkwgvuyUbY3FhlTJF8RpU8k5b6m1v2vCGa8gW6YhQ0wWkZA/'

const PROFILE = `version: 1
name: wifi
host:
  admin: {passwordHash: {file: hash}}
  network: {wifi: [{ssid: home, passphrase: {env: KEYVISOR_TEST_WIFI}}]}
`

/** Turns the second radio into the access point; the first is the stick's card, which its own unit takes. */
const ACCESS_POINT = `
sudo modprobe mac80211_hwsim radios=2 && sleep 5
sudo systemctl stop keyvisor-wifi@wlan1
{ printf 'network={\\nssid="home"\\nmode=2\\nfrequency=2412\\nkey_mgmt=WPA-PSK\\n'
  sudo grep psk= /etc/wpa_supplicant/keyvisor.conf; printf '}\\n'; } > /run/user/$(id -u)/ap.conf
sudo wpa_supplicant -B -i wlan1 -c /run/user/$(id -u)/ap.conf > /dev/null
for try in $(seq 60); do
  [ "$(cat /sys/class/net/wlan0/operstate)" = up ] && break
  sleep 1
done
cat /sys/class/net/wlan0/operstate; systemctl is-active keyvisor-wifi@wlan0`

/** All that stays, and all that others may read: logs, the journal in words, what is on data, and command lines. */
const KEPT = `
sudo journalctl --no-pager -o verbose > /tmp/journal; sudo dmesg > /tmp/dmesg
sudo sh -c 'cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ' 2>/dev/null | tr '\\0' '\\n' > /tmp/processes
wc -c < /tmp/journal; wc -c < /tmp/processes`

const folder = t.testdir()
const profile = join(folder, 'wifi.yaml')
await writeFile(profile, PROFILE)
await writeFile(join(folder, 'hash'), `${HASH}\n`)
process.env['KEYVISOR_TEST_WIFI'] = PASSPHRASE
const stick = await openStick(t, profile)

if (stick) {
  await t.test('a stick with secrets', (t) =>
    withTrial(stick.image, { accelerator: 'tcg', ssh: true }, stick.place, async (trial) => {
      const done = await waitFor(trial, 300, isEvent('done'))
      if (!t.ok(done, 'done', { serial: (await serialText(trial)).slice(-2000) })) return

      t.equal(await onStick(trial, ACCESS_POINT), 'up\nactive', 'it has joined the network')

      const sizes = (await onStick(trial, KEPT)).split('\n').map(Number)
      for (const size of sizes) t.ok(size > 5000, `there is something to look through: ${size} bytes`)
      const places = '/data /var/log /run/log /tmp/journal /tmp/dmesg /tmp/processes'
      for (const [secret, where] of [
        [PASSPHRASE, '/etc/wpa_supplicant/keyvisor.conf'],
        [HASH, '/etc/shadow'],
      ] as const) {
        // By standard input: a command line would be among the processes that are looked through.
        const grep = (paths: string) =>
          onStick(trial, `printf %s ${btoa(secret)} | base64 -d | sudo grep -rlaFf - ${paths} || true`)
        t.equal(await grep(where), where, 'it is where it is used')
        t.equal(await grep(places), '', `it is in none of ${places}`)
      }
      const told = { report: await readFile(trial.pc.reportLog, 'utf8'), console: await serialText(trial) }
      for (const [name, text] of Object.entries(told)) {
        t.ok(text.length > 100, `there is a ${name}`)
        for (const secret of [PASSPHRASE, HASH]) t.notOk(text.includes(secret), `no secret in the ${name}`)
      }
      t.equal(await trial.shutDown(SHUTDOWN), 'off')
    }),
  )
}
