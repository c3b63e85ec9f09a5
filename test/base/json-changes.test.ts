import t from 'tap'
import type { Json } from '../../src/base/digests.js'
import { jsonChanges } from '../../src/base/json-changes.js'

t.test('equal values have no changes, in whatever order their keys stand', async (t) => {
  const values: Json[] = [null, 1, 'a', [], {}, [1, { a: [] }], { a: { b: null } }]
  for (const value of values) t.strictSame(jsonChanges(value, structuredClone(value)), [])
  t.strictSame(jsonChanges({ a: 1, b: 2 }, { b: 2, a: 1 }), [])
})

t.test('each place that differs, and no other', async (t) => {
  const cases: [Json, Json, unknown[]][] = [
    [1, 2, [{ path: [], before: 1, after: 2 }]],
    [{ a: 1 }, { a: null }, [{ path: ['a'], before: 1, after: null }]],
    [
      { a: 1, c: 3 },
      { b: 2, c: 3 },
      [
        { path: ['a'], before: 1 },
        { path: ['b'], after: 2 },
      ],
    ],
    [{ a: { b: { c: 1 } } }, { a: { b: { c: 2 } } }, [{ path: ['a', 'b', 'c'], before: 1, after: 2 }]],
    [{ a: [] }, { a: {} }, [{ path: ['a'], before: [], after: {} }]],
    [[1, 2], [1, 3], [{ path: ['1'], before: 2, after: 3 }]],
    [[[1]], [[1], [2]], [{ path: ['1'], after: [2] }]],
  ]
  for (const [before, after, changes] of cases) {
    t.strictSame(jsonChanges(before, after), changes, JSON.stringify([before, after]))
  }
})

t.test('lists of texts are sets, lists of named things go by their names', async (t) => {
  t.strictSame(jsonChanges({ asked: ['a', 'b'] }, { asked: ['b', 'c'] }), [
    { path: ['asked'], before: 'a' },
    { path: ['asked'], after: 'c' },
  ])
  t.match(jsonChanges(['a', 'b'], ['b', 'a']), [{ path: [], before: ['a', 'b'], after: ['b', 'a'] }])
  t.match(jsonChanges(['a'], ['a', 'a']), [{ path: [], before: ['a'], after: ['a', 'a'] }])
  const guests = [
    { name: 'one', cpus: 1 },
    { name: 'two', cpus: 2 },
  ]
  t.strictSame(jsonChanges(guests, [{ name: 'two', cpus: 3 }, { name: 'new' }]), [
    { path: ['new'], after: { name: 'new' } },
    { path: ['one'], before: { name: 'one', cpus: 1 } },
    { path: ['two', 'cpus'], before: 2, after: 3 },
  ])
  const twice = [{ name: 'one' }, { name: 'one', a: 1 }]
  t.match(jsonChanges(twice, [{ name: 'one' }, { name: 'one', a: 2 }]), [{ path: ['1', 'a'] }])
})

t.test('a member with a hostile name is a member', async (t) => {
  const hostile = JSON.parse('{"__proto__": {"a": 1}, "constructor": 2}') as Json
  t.match(jsonChanges({}, hostile), [{ path: ['__proto__'] }, { path: ['constructor'], after: 2 }])
  t.equal(({} as Record<string, unknown>)['a'], undefined)
})
