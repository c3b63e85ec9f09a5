/**
 * The rooms of src/ and the arrows between them, as the table of CONTRIBUTING.md has them.
 *
 * Every import counts, of types too: a type is knowledge of another room.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import ts from 'typescript'

const SRC = fileURLToPath(new URL('../src/', import.meta.url))
const CONTRIBUTING = new URL('../CONTRIBUTING.md', import.meta.url)

/**
 * What each room may import beside base/, which every room may: all of a room, or its types alone. `index` is
 * src/index.ts, the public face of all of them.
 */
type Allowed = 'all' | 'types'
const ROOMS: Record<string, Record<string, Allowed>> = {
  base: {},
  yaml: {},
  disk: {},
  arch: {},
  guest: { arch: 'all' },
  stick: { arch: 'all', yaml: 'all', guest: 'all', disk: 'all' },
  aboard: { arch: 'all', guest: 'all' },
  store: {},
  debian: { arch: 'all', disk: 'all', store: 'types' },
  sources: { arch: 'all', yaml: 'all', guest: 'all', debian: 'all', disk: 'all', store: 'all' },
  profile: { yaml: 'all', disk: 'all', guest: 'all', stick: 'all', sources: 'all' },
  lock: { arch: 'all', yaml: 'types', disk: 'types', debian: 'all', sources: 'all', store: 'all' },
  plan: { arch: 'all', yaml: 'all', guest: 'all', stick: 'all', debian: 'types', sources: 'all' },
  tools: { arch: 'all', debian: 'all', lock: 'all', plan: 'all', store: 'all' },
  host: { plan: 'all', guest: 'all', stick: 'all', debian: 'all', disk: 'all', store: 'all' },
  prepare: { yaml: 'all', profile: 'all', lock: 'all', plan: 'all', store: 'all', tools: 'all' },
  image: { stick: 'all', guest: 'all', disk: 'all', sources: 'all', store: 'all' },
  pipeline: { prepare: 'all', host: 'all', sources: 'all', image: 'all', store: 'all', tools: 'all' },
  preview: { pipeline: 'all', prepare: 'all', image: 'all', plan: 'all', guest: 'all', store: 'all' },
  publish: { prepare: 'all', stick: 'all', disk: 'all', lock: 'all', store: 'all', tools: 'all' },
  media: { stick: 'all', disk: 'all' },
  pc: { arch: 'all', yaml: 'all', guest: 'all', disk: 'all', store: 'types', tools: 'all' },
  lab: { pc: 'all', media: 'all', guest: 'all', stick: 'all', store: 'types', tools: 'all' },
  cli: { index: 'all' },
}

/** A room that needs more of the others than these is in the wrong place. */
const MOST_ROOMS = 6

interface Import {
  /** Both below src/, such as `plan/layout.ts`. */
  from: string
  to: string
  /** Nothing of it is left after compiling. */
  typeOnly: boolean
}

function sources(): string[] {
  return readdirSync(SRC, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.ts') && !path.includes('overlay/'))
    .sort()
}

/** Every module that a source names, `import()` and types of `import('...')` too. */
function named(file: string, text: string): { module: string; typeOnly: boolean }[] {
  const found: { module: string; typeOnly: boolean }[] = []
  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) {
      const module = node.moduleSpecifier
      if (module && ts.isStringLiteral(module)) found.push({ module: module.text, typeOnly: isTypes(node) })
    } else if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) {
      const [module] = node.arguments
      if (module && ts.isStringLiteral(module)) found.push({ module: module.text, typeOnly: false })
    } else if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) {
      const { literal } = node.argument
      if (ts.isStringLiteral(literal)) found.push({ module: literal.text, typeOnly: true })
    }
    ts.forEachChild(node, visit)
  }
  visit(ts.createSourceFile(file, text, ts.ScriptTarget.ES2022, true))
  return found
}

function isTypes(node: ts.ImportDeclaration | ts.ExportDeclaration): boolean {
  const clause = ts.isImportDeclaration(node) ? node.importClause : node
  if (!clause) return false
  if (clause.isTypeOnly) return true
  if ('name' in clause && clause.name) return false
  const bindings =
    'namedBindings' in clause ? clause.namedBindings : (clause as ts.ExportDeclaration).exportClause
  if (!bindings || !('elements' in bindings)) return false
  return (bindings.elements as ts.NodeArray<ts.ImportSpecifier | ts.ExportSpecifier>).every(
    (element) => element.isTypeOnly,
  )
}

function importsOf(files: string[], read: (file: string) => string): Import[] {
  return files.flatMap((from) =>
    named(from, read(from))
      .filter(({ module }) => module.startsWith('.'))
      .map(({ module, typeOnly }) => {
        const to = normalize(join(dirname(from), module)).replace(/\.js$/, '.ts')
        return { from, to, typeOnly }
      }),
  )
}

function roomOf(file: string): string {
  return file.includes('/') ? (file.split('/')[0] as string) : file.replace(/\.ts$/, '')
}

/** Undefined when the table allows it; else what is wrong. */
function broken({ from, to, typeOnly }: Import): string | undefined {
  const [room, other] = [roomOf(from), roomOf(to)]
  if (room === other || other === 'base') return undefined
  if (room === 'index' && other !== 'cli') return undefined
  const allowed = ROOMS[room]?.[other]
  const isAllowed = allowed === 'all' || (allowed === 'types' && typeOnly)
  return isAllowed ? undefined : `${from} -> ${to}${typeOnly ? ' (types)' : ''}`
}

/** One circle of imports, as a path that ends where it began; undefined when there is none. */
function circle(imports: Import[]): string[] | undefined {
  const done = new Set<string>()
  const next = new Map<string, Import[]>()
  for (const item of imports) next.set(item.from, [...(next.get(item.from) ?? []), item])
  const walk = (file: string, path: string[]): string[] | undefined => {
    if (path.includes(file)) return [...path.slice(path.indexOf(file)), file]
    if (done.has(file)) return undefined
    for (const { to } of next.get(file) ?? []) {
      const found = walk(to, [...path, file])
      if (found) return found
    }
    done.add(file)
    return undefined
  }
  for (const file of next.keys()) {
    const found = walk(file, [])
    if (found) return found
  }
  return undefined
}

const files = sources()
const imports = importsOf(files, (file) => readFileSync(join(SRC, file), 'utf8'))

t.test('every source stands in a room of the table', async (t) => {
  t.ok(files.length > 60, `${files.length} sources, ${imports.length} imports`)
  const rooms = new Set(files.filter((file) => !file.endsWith('.d.ts')).map(roomOf))
  t.strictSame(
    [...rooms].filter((room) => !(room in ROOMS) && room !== 'index'),
    [],
  )
  t.strictSame(
    imports
      .map(({ to }) => to)
      .filter((to) => !files.includes(to) && !files.includes(to.replace(/\.ts$/, '.d.ts'))),
    [],
    'every import was found',
  )
})

t.test('no arrow against the table', async (t) => {
  t.strictSame(imports.map(broken).filter(Boolean), [])
})

t.test('no row is longer than it may be, and each arrow of the table is there', async (t) => {
  for (const [room, others] of Object.entries(ROOMS))
    t.ok(Object.keys(others).length <= MOST_ROOMS, `${room}: ${Object.keys(others).join(', ')}`)
  const drawn = new Set(imports.map(({ from, to }) => `${roomOf(from)} ${roomOf(to)}`))
  const claimed = Object.entries(ROOMS).flatMap(([room, others]) =>
    Object.keys(others).map((other) => `${room} ${other}`),
  )
  t.strictSame(
    claimed.filter((arrow) => !drawn.has(arrow)),
    [],
  )
})

t.test('no circle, types included, of files or of rooms', async (t) => {
  const rooms = Object.keys(ROOMS)
  const upwards = Object.entries(ROOMS).flatMap(([room, others]) =>
    Object.keys(others)
      .filter((other) => rooms.indexOf(other) >= rooms.indexOf(room))
      .map((other) => `${room} -> ${other}`),
  )
  t.strictSame(upwards, [], 'a row names rows above it alone')
  t.equal(circle(imports)?.join(' -> '), undefined)
})

t.test(
  'nothing but the command line takes the command line parser, nothing in base takes a package',
  async (t) => {
    const packages = files.flatMap((file) =>
      named(file, readFileSync(join(SRC, file), 'utf8'))
        .filter(({ module }) => !module.startsWith('.') && !module.startsWith('node:'))
        .map(({ module }) => ({ room: roomOf(file), module })),
    )
    t.strictSame(
      [...new Set(packages.filter(({ module }) => module === 'commander').map(({ room }) => room))],
      ['cli'],
    )
    t.strictSame(
      packages.filter(({ room }) => ['base', 'disk', 'plan', 'media'].includes(room)),
      [],
    )
  },
)

t.test('the table of CONTRIBUTING.md is this one', async (t) => {
  const rows = Object.entries(ROOMS).map(([room, others]) => {
    const list = Object.entries(others).map(([other, allowed]) =>
      allowed === 'all' ? other : `${other} (types)`,
    )
    return [room, list.join(', ') || 'nothing']
  })
  const printed = [...readFileSync(CONTRIBUTING, 'utf8').matchAll(/^\| `(\w+)\/` \|.*\| ([^|]*) \|$/gm)]
  t.strictSame(
    printed.map(([, room, list]) => [room, list]),
    rows,
  )
})

t.test('the test itself finds what it looks for', async (t) => {
  const read = (text: string) => importsOf(['plan/x.ts'], () => text).map(broken)
  t.strictSame(read(`import { a } from '../host/root.js'`), ['plan/x.ts -> host/root.ts'])
  t.strictSame(read(`import type { A } from '../host/root.js'`), ['plan/x.ts -> host/root.ts (types)'])
  t.strictSame(read(`export * from '../cli/main.js'`), ['plan/x.ts -> cli/main.ts'])
  t.strictSame(read(`await import('../pipeline/build.js')`), ['plan/x.ts -> pipeline/build.ts'])
  t.strictSame(read(`let a: import('../pc/qmp.js').A`), ['plan/x.ts -> pc/qmp.ts (types)'])
  t.strictSame(read(`import { type A, type B } from '../debian/tree.js'`), [undefined])
  t.strictSame(read(`import { type A, b } from '../debian/tree.js'`), ['plan/x.ts -> debian/tree.ts'])
  t.strictSame(read(`import { DEFAULTS } from '../yaml/profile.gen.js'`), [undefined])
  const loop = ['a', 'b', 'c'].map((from, index) => ({ from, to: 'bca'[index] as string, typeOnly: true }))
  t.strictSame(circle(loop), ['a', 'b', 'c', 'a'])
  t.equal(circle(loop.slice(0, 2)), undefined)
})
