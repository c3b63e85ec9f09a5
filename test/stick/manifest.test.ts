/** The schema of manifests: whether it says what every field is. Real manifests meet it in test/oracle. */
import { readFileSync } from 'node:fs'
import t from 'tap'
import { packageFile } from '../../src/base/package.js'

interface Node {
  title?: string
  description?: string
  type?: string | string[]
  items?: Node
  anyOf?: Node[]
  properties?: Record<string, Node>
  additionalProperties?: boolean | Node
  $ref?: string
  $defs?: Record<string, Node>
  'x-unit'?: string
}

/** Every schema in the schema, with its place. */
function walk(node: Node, place: string): [string, Node][] {
  const { additionalProperties: others } = node
  return [
    [place, node],
    ...Object.entries({ ...node.properties, ...node.$defs }).flatMap(([name, inner]) =>
      walk(inner, `${place}.${name}`),
    ),
    ...(node.anyOf ?? []).flatMap((inner, index) => walk(inner, `${place}|${index}`)),
    ...(node.items ? walk(node.items, `${place}[]`) : []),
    ...(typeof others === 'object' ? walk(others, `${place}.*`) : []),
  ]
}

const all = walk(
  JSON.parse(readFileSync(packageFile('schemas/manifest.schema.json'), 'utf8')) as Node,
  'manifest',
)

t.test('every field has a title and a description; every number has a unit', async (t) => {
  t.ok(all.length > 80)
  for (const [place, node] of all) {
    if (node.$ref !== undefined && Object.keys(node).length === 1) continue
    t.ok(node.title, `${place} has a title`)
    t.ok(node.description, `${place} has a description`)
    if ([node.type].flat().includes('integer')) t.ok(node['x-unit'], `${place} has a unit`)
  }
})

t.test('every object is closed, or says what its members are', async (t) => {
  const objects = all.filter(([, { type }]) => type === 'object')
  t.ok(objects.length > 10)
  for (const [place, { additionalProperties: others }] of objects)
    t.ok(others === false || typeof others === 'object', place)
})
