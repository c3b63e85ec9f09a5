import t from 'tap'
import { lookUp } from '../../src/base/lookup.js'

t.test('only what a table has itself is found', async (t) => {
  const table = { here: 1 }
  t.equal(lookUp(table, 'here'), 1)
  for (const name of ['constructor', 'toString', 'hasOwnProperty', '__proto__', 'valueOf'])
    t.equal(lookUp<number>(table, name), undefined, name)
  t.equal(lookUp({ constructor: 2 } as unknown as Record<string, number>, 'constructor'), 2)
})
