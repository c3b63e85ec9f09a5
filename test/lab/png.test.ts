import t from 'tap'
import { isBlank, isPng } from '../../src/lab/png.js'
import { black, cursor, pngOf, words } from '../support/pictures.js'

for (const up of [false, true]) {
  t.test(`what is blank, with ${up ? 'filtered' : 'plain'} rows`, async (t) => {
    t.ok(isBlank(pngOf(720, 400, black, up)), 'black')
    t.ok(isBlank(pngOf(80, 25, () => 0x2a, up)), 'another colour')
    t.ok(isBlank(pngOf(720, 400, cursor, up)), 'a cursor')
    t.notOk(isBlank(pngOf(720, 400, words, up)), 'words')
  })
}

t.test('what is a PNG of a screen', async (t) => {
  const png = pngOf(720, 400, words)
  t.ok(isPng(png))
  t.notOk(isPng(Buffer.alloc(0)))
  t.notOk(isPng(png.subarray(0, 20)))
  t.notOk(isPng(Buffer.from('P6\n720 400\n255\n'.padEnd(64))))
  for (const side of [0, 8193, 2 ** 31]) {
    const absurd = Buffer.from(png)
    absurd.writeUInt32BE(side, 20)
    t.notOk(isPng(absurd), `height ${side}`)
  }
})
