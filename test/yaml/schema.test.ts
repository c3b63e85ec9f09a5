import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { Ajv2020 } from 'ajv/dist/2020.js'
import t from 'tap'
import { parseBytes, SIZE_PATTERN } from '../../src/base/units.js'
import { DEFAULTS, type Profile } from '../../src/yaml/profile.gen.js'
import { SCHEMA_FILE } from '../../src/yaml/profile-schema.js'
import { checkSchema } from '../../src/yaml/schema.js'

interface Node {
  title?: string
  description?: string
  type?: string
  default?: unknown
  examples?: unknown[]
  pattern?: string
  items?: Node
  anyOf?: Node[]
  properties?: Record<string, Node>
  $ref?: string
  $defs?: Record<string, Node>
  additionalProperties?: boolean
  'x-unit'?: string
}

const schema = JSON.parse(readFileSync(SCHEMA_FILE, 'utf8')) as Node

/** Every schema in the schema, with its place. */
function walk(node: Node, place: string): [string, Node][] {
  const named = { ...node.properties, ...node.$defs }
  return [
    [place, node],
    ...Object.entries(named).flatMap(([name, inner]) => walk(inner, `${place}.${name}`)),
    ...(node.anyOf ?? []).flatMap((inner, index) => walk(inner, `${place}|${index}`)),
    ...(node.items ? walk(node.items, `${place}[]`) : []),
  ]
}

const all = walk(schema, 'profile')

t.test('a size is the same to the schema and to base/units', async (t) => {
  t.equal(schema.$defs?.['size']?.pattern, SIZE_PATTERN.source)
})

t.test('the schemas are schemas, which no command asks at its start', async (t) => {
  for (const name of ['profile', 'machines', 'boot-report']) {
    const text = readFileSync(new URL(`./${name}.schema.json`, SCHEMA_FILE), 'utf8')
    const ajv = new Ajv2020({ strict: false })
    t.ok(ajv.validateSchema(JSON.parse(text)), `${name}: ${ajv.errorsText()}`)
  }
})

t.test('every field has a title and a description; every number and size has a unit', async (t) => {
  t.ok(all.length > 80)
  for (const [place, node] of all) {
    const isBareReference = node.$ref !== undefined && Object.keys(node).length === 1
    if (isBareReference) continue
    t.ok(node.title, `${place} has a title`)
    t.ok(node.description, `${place} has a description`)
    if (node.type === 'integer') t.ok(node['x-unit'], `${place} has a unit`)
  }
  t.equal(schema.$defs?.['size']?.['x-unit'], 'bytes')
})

t.test('every object is closed', async (t) => {
  const objects = all.filter(([, { type }]) => type === 'object')
  t.ok(objects.length > 10)
  for (const [place, node] of objects) t.equal(node.additionalProperties, false, place)
})

t.test('defaults and examples are what the schema allows', async (t) => {
  const whole = (guest: object): unknown => ({ version: 1, name: 'x', guests: [guest] })
  const guest = { name: 'g', source: { debian: { ...DEFAULTS.debianTree } }, ...DEFAULTS.guest }
  const host = { ...DEFAULTS.host, admin: DEFAULTS.admin, network: DEFAULTS.hostNetwork }
  const profile: Profile = { version: 1, name: 'x', stick: DEFAULTS.stick, host, guests: [guest] }
  t.strictSame(checkSchema(profile), [])
  for (const example of schema.$defs?.['guest']?.examples ?? []) {
    t.strictSame(checkSchema(whole(example as object)), [])
  }
  for (const key of ['stick', 'host'] as const) {
    for (const example of schema.$defs?.[key]?.examples ?? []) {
      t.strictSame(checkSchema({ version: 1, name: 'x', [key]: example }), [])
    }
  }
  for (const size of schema.$defs?.['size']?.examples ?? []) t.ok(parseBytes(size as string))
})

t.test('checking changes nothing', async (t) => {
  const profile = { version: 1, name: 'x', stick: {}, guests: [] }
  const before = structuredClone(profile)
  checkSchema(profile)
  t.strictSame(profile, before)
})

t.test('what is generated is up to date', async (t) => {
  const script = fileURLToPath(new URL('../../scripts/generate.js', import.meta.url))
  t.doesNotThrow(() => execFileSync(process.execPath, [script, '--check'], { stdio: 'pipe' }))
})
