/**
 * The demo's image under UEFI: the host comes up. That guests run is shown under BIOS: they do not see the difference.
 */
import t from 'tap'
import { withTrial } from '../../src/lab/trial.js'
import { isEvent, openDemo, serialText, waitFor } from './demo.js'

const demo = await openDemo(t)

if (demo) {
  await t.test('the host is up, and says that it was started by UEFI', (t) =>
    withTrial(demo.image, { accelerator: 'tcg', firmware: 'uefi' }, demo.run, async (trial) => {
      const host = await waitFor(trial, 300, isEvent('host'))
      if (!t.ok(host, 'the host is up', { serial: (await serialText(trial)).slice(-2000) })) return
      // Debian's plain OVMF is built without Secure Boot, which is another thing than having it off.
      t.match(host, { name: 'demo', firmware: 'uefi', secureBoot: 'unsupported', accelerator: 'kvm' })
    }),
  )
}
