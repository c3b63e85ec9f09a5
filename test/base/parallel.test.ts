import t from 'tap'
import { limited } from '../../src/base/parallel.js'

/** Work that ends when told. */
function gate() {
  let open = () => {}
  const done = new Promise<void>((resolve) => {
    open = resolve
  })
  return { open, done }
}

const settle = () => new Promise((resolve) => setImmediate(resolve))

t.test('no more than so many run at once, in the order of asking', async (t) => {
  const slot = limited(2)
  const gates = [gate(), gate(), gate(), gate()]
  const started: number[] = []
  const all = gates.map(({ done }, index) =>
    slot(async () => {
      started.push(index)
      await done
      return index * 10
    }),
  )
  await settle()
  t.strictSame(started, [0, 1])
  gates[1]?.open()
  await settle()
  t.strictSame(started, [0, 1, 2])
  for (const { open } of gates) open()
  t.strictSame(await Promise.all(all), [0, 10, 20, 30])
  t.strictSame(started, [0, 1, 2, 3])
})

t.test('work that fails gives its place away', async (t) => {
  const slot = limited(1)
  await t.rejects(
    slot(async () => {
      throw new Error('no')
    }),
    /no/,
  )
  t.equal(await slot(async () => 'next'), 'next')
})

t.test('never more than the limit, however late work comes', async (t) => {
  // Somewhere among these a newcomer asks in the moment between one that ended and one that waited.
  for (let wait = 0; wait < 12; wait++) {
    const slot = limited(1)
    let running = 0
    let most = 0
    const first = gate()
    const work = async () => {
      most = Math.max(most, ++running)
      await settle()
      running--
    }
    const waiting = [slot(() => first.done), slot(work)]
    first.open()
    for (let turn = 0; turn < wait; turn++) await null
    await Promise.all([...waiting, slot(work)])
    t.equal(most, 1, `a newcomer after ${wait} turns`)
  }
})
