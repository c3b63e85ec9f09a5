import t from 'tap'
import { checkRules } from '../../src/profile/rules.js'
import type { Profile } from '../../src/yaml/profile.gen.js'
import type { Sound } from '../../src/yaml/sound.js'

function hints(profile: Sound<Profile>): (string | undefined)[] {
  return checkRules(profile)
    .filter(({ code }) => code === 'odd-size')
    .map(({ hint }) => hint)
}

const guest = (fields: object) => ({ guests: [{ name: 'a', source: { debian: {} }, ...fields }] })

t.test('a size that is refused comes with the nearest that are not', async (t) => {
  t.strictSame(hints({ stick: { esp: '100000001B' } }), ['give 95MiB or 96MiB'])
  t.strictSame(hints({ stick: { rootSlot: '524289KiB' } }), ['give 512MiB or 513MiB'])
  t.strictSame(hints({ stick: { library: '1B' } }), ['give 1MiB'])
  t.strictSame(hints(guest({ disk: '1000B' })), ['give 512B or 1KiB'])
  t.strictSame(hints(guest({ disks: [{ size: '1073741823B' }] })), ['give 1073741312B or 1GiB'])
})

t.test('sizes that are what their place needs pass', async (t) => {
  t.strictSame(hints({ stick: { esp: '131072KiB', rootSlot: '402653184B', library: '1GiB' } }), [])
  t.strictSame(hints(guest({ disk: '3221225984B', disks: [{ size: '512B' }, { size: '1KiB' }] })), [])
})

t.test('memory and the smallest stick are not made of sectors', async (t) => {
  const memory = { min: '536870913B', max: '600000001B' }
  t.strictSame(hints({ stick: { minimumSize: '7999999999B', minimumMemory: '4000000001B' } }), [])
  t.strictSame(hints(guest({ memory })), [])
})
