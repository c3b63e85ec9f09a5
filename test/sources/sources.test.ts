/** The list of kinds: the schema's, and nobody else's business. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { SOURCES, sourceParts } from '../../src/sources/sources.js'
import { SCHEMA_FILE } from '../../src/yaml/profile-schema.js'

const SRC = fileURLToPath(new URL('../../src/', import.meta.url))
const kinds = SOURCES.map(({ kind }) => kind)

interface Definition {
  required: string[]
  properties: Record<string, { anyOf?: { $ref: string }[] }>
}

t.test('each source of the schema has one row, and each row a source', async (t) => {
  const { $defs } = JSON.parse(readFileSync(SCHEMA_FILE, 'utf8')) as { $defs: Record<string, Definition> }
  const options = $defs['guest']?.properties['source']?.anyOf ?? []
  const found = options.map(({ $ref }) => {
    const { required, properties } = $defs[$ref.slice('#/$defs/'.length)] as Definition
    const known = kinds.filter((kind) => kind in properties)
    t.ok(
      known.every((kind) => required.includes(kind)),
      `${$ref}: it is told by a key that it always has`,
    )
    return known
  })
  t.strictSame(
    found,
    kinds.map((kind) => [kind]),
    'in the order of the schema',
  )
})

t.test('no other room tells one kind from another', async (t) => {
  const words = kinds.join('|')
  const branch = new RegExp(`'(${words})' in |kind [!=]== '(${words})'|case '(${words})'`)
  const files = readdirSync(SRC, { recursive: true, encoding: 'utf8' }).filter((path) => path.endsWith('.ts'))
  const found = files.filter(
    (path) => !path.startsWith('sources/') && branch.test(readFileSync(join(SRC, path), 'utf8')),
  )
  t.strictSame(found, [])
})

t.test('what rules look at is there where the schema refuses the rest', async (t) => {
  const parts = (source: object | undefined) =>
    sourceParts({ value: { source: source as never }, path: ['guests', 0] })
  const place = ['guests', 0, 'source', 'debian']
  t.match(parts({ debian: {} }), {
    size: { value: '2GiB', path: [...place, 'size'], isGiven: false },
    packages: [],
    files: [],
  })
  t.match(parts({ debian: { size: undefined } }), { size: { value: undefined, isGiven: true } })
  for (const packages of [undefined, ['nano', undefined]]) {
    t.notOk('packages' in parts({ debian: { packages } }), 'any may be among them')
  }
  const image = { file: 'a.qcow2', format: undefined, path: ['guests', 0, 'source', 'image'] }
  const odd = { debian: undefined, image: 'a.qcow2', format: undefined }
  t.strictSame(parts(odd), { files: [], image }, 'a key without a value is none')
  for (const source of [undefined, {}, { debian: undefined }]) t.strictSame(parts(source), { files: [] })
})
