import t from 'tap'
import { stickManifest } from '../../src/lab/trial.js'

t.test('a manifest of another version is refused by it', async (t) => {
  const read = (manifest: Parameters<typeof stickManifest>[0]['manifest']) => () =>
    stickManifest({ path: 'x.img', manifest })
  const guests = [{ name: 'web', base: 'ab' }]
  for (const version of [1, 3, 5])
    t.throws(read({ version, guests, host: {} }), {
      code: 'not-a-stick',
      message: `the manifest of x.img is of version ${version}, and this Keyvisor reads version 4`,
    })
  for (const manifest of [null, {}, { version: 4 }, { version: 'x', guests, host: {} }])
    t.throws(read(manifest), { code: 'not-a-stick', message: /has no manifest that this Keyvisor can read/ })
  const whole = { version: 4, guests: [], host: {} }
  t.strictSame(read(whole)(), whole)
})
