/** Which stages a change reaches, and how it is named. */
import { join } from 'node:path'
import t from 'tap'
import { type Json, sha256 } from '../../src/base/digests.js'
import { explain, lastInputs, rememberInputs, spellOut } from '../../src/pipeline/explain.js'
import type { Stages } from '../../src/pipeline/stages.js'
import type { Stage } from '../../src/store/stage.js'
import { Store } from '../../src/store/store.js'
import { stage } from '../support/stages.js'

interface Built {
  files: Record<string, string>
  packages: Record<string, string>
  hostname: string
  program: string
}

const BASE: Built = {
  files: { '/etc/hosts': sha256('hosts'), '/etc/motd': sha256('motd') },
  packages: { bash: '5.2.15', vim: '9.0' },
  hostname: 'demo',
  program: sha256('program'),
}

/** The stages of a small build. */
function build(change: Partial<Built> = {}) {
  const { files, packages, hostname, program } = { ...BASE, ...change }
  const of = (name: string, inputs: Record<string, Json>, reads: Record<string, Stage> = {}) =>
    stage(name, inputs, reads, undefined, program)
  const hostTree = of('tree.host', { packages, epoch: 1 })
  const hostRoot = of('root', { files, settings: { hostname } }, { tree: hostTree })
  const library = stage('library', { guests: [] })
  const loader = stage('loader', { serial: true })
  const esp = stage('esp', {}, { root: hostRoot, library })
  const settings = stage('settings', {})
  const image = stage('image', {}, { esp, root: hostRoot })
  const stages: Stages = {
    hostTree,
    hostRoot,
    beforeBases: {},
    bases: {},
    library,
    loader,
    esp,
    settings,
    image,
  }
  return { stages, inputs: spellOut(stages) }
}

const all = ['tree.host', 'root', 'library', 'loader', 'esp', 'settings', 'image']
const changesOf = (
  before: ReturnType<typeof build>,
  after: ReturnType<typeof build>,
  reused: string[] = [],
) => explain(after.stages, before.inputs, after.inputs, new Set(reused))

t.test('inputs are spelled out', async (t) => {
  const { inputs, stages } = build()
  const common = { program: BASE.program, tools: 'system' }
  t.strictSame(inputs['root'], {
    ...common,
    stages: { 'tree.host': stages.hostTree.key },
    files: BASE.files,
    settings: { hostname: 'demo' },
  })
  t.strictSame(inputs['tree.host'], { ...common, packages: BASE.packages, epoch: 1 })
  t.strictSame(inputs['loader'], { program: 'program', tools: 'system', serial: true })
})

t.test('nothing changed', async (t) => {
  const found = changesOf(build(), build(), all)
  t.strictSame(
    found.map(({ stage, reused, changes }) => [stage, reused, changes]),
    all.map((name) => [name, true, []]),
  )
})

t.test('a file reaches the root, and through it the rest; the tree stays', async (t) => {
  const files = { '/etc/hosts': sha256('other'), '/etc/new': sha256('new') }
  const found = changesOf(build(), build({ files }), ['tree.host'])
  const [tree, root, library, , esp] = found
  t.match(tree, { stage: 'tree.host', reused: true, changes: [] })
  t.strictSame(
    root?.changes.map(({ path }) => path.join(' ')),
    ['files /etc/hosts', 'files /etc/motd', 'files /etc/new'],
  )
  t.match(root, { reused: false, known: true })
  t.match(library, { changes: [], known: true })
  t.strictSame(
    esp?.changes.map(({ path }) => path),
    [['stages', 'root']],
  )
})

t.test('a package by its versions, a setting by its values', async (t) => {
  const packages = { bash: '5.2.37', nano: '8' }
  const found = changesOf(build(), build({ packages, hostname: 'other' }))
  t.strictSame(found[0]?.changes, [
    { path: ['packages', 'bash'], before: '5.2.15', after: '5.2.37' },
    { path: ['packages', 'nano'], after: '8' },
    { path: ['packages', 'vim'], before: '9.0' },
  ])
  t.match(found[1]?.changes, [
    { path: ['settings', 'hostname'], before: 'demo', after: 'other' },
    { path: ['stages', 'tree.host'] },
  ])
})

t.test('Keyvisor itself is one thing that changed', async (t) => {
  const program = sha256('other')
  const [tree] = changesOf(build(), build({ program }))
  t.strictSame(tree?.changes, [{ path: ['program'], before: BASE.program, after: program }])
})

t.test('without an earlier build nothing is claimed', async (t) => {
  const { stages, inputs } = build()
  const found = explain(stages, undefined, inputs, new Set())
  t.ok(found.every(({ known, changes }) => !known && changes.length === 0))
})

t.test('the store remembers by image', async (t) => {
  const store = await Store.open(join(t.testdir(), 'store'))
  const { inputs } = build()
  t.equal(await lastInputs(store, '/out/demo.img'), undefined)
  await rememberInputs(store, '/out/demo.img', inputs)
  t.strictSame(await lastInputs(store, '/out/demo.img'), inputs)
  t.equal(await lastInputs(store, '/elsewhere/demo.img'), undefined)
})
