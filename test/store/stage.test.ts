/** Keys: everything that a maker gets changes its stage's key, and nothing else does. */
import t from 'tap'
import { Keyed } from '../../src/base/keyed.js'
import { objectOf, readOf, stageOf } from '../../src/store/stage.js'
import { stage } from '../support/stages.js'

const INPUTS = { tree: 'ab', size: 1 }
const demo = stage('disk.counter', INPUTS)

t.test('a key changes with everything that can change the bytes', async (t) => {
  t.equal(stage('disk.counter', { size: 1, tree: 'ab' }).key, demo.key)
  t.equal(stage('disk.other', INPUTS).key, demo.key, 'equal work of another guest is the same work')
  const others = [
    stage('tree.counter', INPUTS),
    stage('disk.counter', { ...INPUTS, size: 2 }),
    stage('disk.counter', { ...INPUTS, more: null }),
    stage('disk.counter', { size: 1 }),
    stage('disk.counter', INPUTS, {}, undefined, 'another program'),
    stage('disk.counter', INPUTS, { tree: demo }),
    stage('disk.counter', INPUTS, { tree: stage('tree.a') }),
    stage('disk.counter', INPUTS, { root: demo }),
  ]
  t.equal(new Set([demo, ...others].map(({ key }) => key)).size, 9)
})

t.test('a key has of a keyed value its key, and the maker the value', async (t) => {
  const seen: unknown[] = []
  const of = (path: string, digest: string) =>
    stageOf(
      {
        name: 'import.a',
        title: '',
        program: 'p',
        inputs: { path: new Keyed(path, digest) },
        reads: {},
        room: () => ({ scratch: 0, result: 0 }),
        make: async (_, inputs) => {
          seen.push(inputs.path.value)
          return { files: {} }
        },
      },
      { programOf: () => '', tools: 'system' },
    )
  const [here, moved, other] = [of('/here', 'a'), of('/moved', 'a'), of('/here', 'b')]
  t.equal(moved.key, here.key)
  t.not(other.key, here.key)
  t.strictSame(here.inputs, { path: 'a', tools: 'system' })
  await moved.make({} as Parameters<typeof moved.make>[0], {})
  t.strictSame(seen, ['/moved'])
})

t.test('what is not there is our own bug', async (t) => {
  t.throws(() => objectOf({ objects: {}, facts: {} }, 'disk'), /^BUG: the stage made no disk/)
  t.throws(() => readOf({}, 'tree'), /^BUG: nothing is read as tree/)
})
