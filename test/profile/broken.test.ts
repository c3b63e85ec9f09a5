/**
 * Every broken profile of fixtures/ gives exactly the problems that were written beside it by hand, and together they
 * break every rule there is.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Ajv2020, type ErrorObject } from 'ajv/dist/2020.js'
import t from 'tap'
import { CODES } from '../../src/base/codes.js'
import type { Problem } from '../../src/base/errors.js'
import { parseBytes } from '../../src/base/units.js'
import { validateProfile } from '../../src/profile/validate.js'
import { SCHEMA_FILE } from '../../src/yaml/profile-schema.js'
import { readSource } from '../../src/yaml/source.js'

const folder = fileURLToPath(new URL('../../fixtures/profiles/broken/', import.meta.url))
const names = readdirSync(folder)
const profiles = names.filter((name) => /\.(yaml|json)$/.test(name))
const expectations = names.filter((name) => name.endsWith('.expect'))
const linesOf = (name: string) => readFileSync(join(folder, name), 'utf8').trimEnd().split('\n')

function line({ file, position, code, path }: Problem): string {
  const place = position ? `:${position.line}:${position.column}` : ''
  return `${file.slice(folder.length)}${place} ${code} ${path || '-'}`
}

for (const name of expectations) {
  t.test(name, async (t) => {
    const expected = linesOf(name)
    const file = (expected[0] as string).split(/[: ]/, 1)[0] as string
    const { problems, loaded } = await validateProfile(join(folder, file), { files: true })
    t.strictSame(problems.map(line), expected)
    for (const { code, severity } of problems) {
      t.equal(severity, CODES[code as keyof typeof CODES].severity)
    }
    const hasErrors = problems.some(({ severity }) => severity === 'error')
    t.equal(
      loaded === undefined,
      hasErrors,
      'a profile is loaded when nothing worse than a warning was found',
    )
  })
}

t.test('each broken profile has its expectation', async (t) => {
  const bases = profiles.map((name) => name.replace(/\.\w+$/, '.expect'))
  t.strictSame(
    bases.filter((name) => !expectations.includes(name)),
    [],
  )
})

t.test('each code has a broken profile', async (t) => {
  const broken = new Set(expectations.flatMap(linesOf).map((text) => text.split(' ')[1]))
  t.strictSame(
    Object.keys(CODES).filter((code) => !broken.has(code)),
    [],
  )
  t.strictSame(
    [...broken].filter((code) => !((code as string) in CODES)),
    [],
  )
})

/** Keywords that only describe, hold other schemas, or say where one is. */
const SILENT = [
  'title',
  'description',
  'examples',
  'default',
  'items',
  'properties',
  '$ref',
  '$defs',
  '$id',
  '$schema',
]

/** `pointer keyword` of each constraint below a schema. */
function constraints(schema: Record<string, unknown>, pointer: string, found: Map<object, string>): string[] {
  found.set(schema, pointer)
  const own = Object.keys(schema).filter((key) => !SILENT.includes(key) && !key.startsWith('x-'))
  const named = ['properties', '$defs', 'anyOf'].flatMap((key) =>
    Object.entries((schema[key] ?? {}) as object).map(([name, value]) => [`${key}/${name}`, value] as const),
  )
  const inner = schema['items'] ? [...named, ['items', schema['items']] as const] : named
  return [
    ...own.map((keyword) => `${pointer} ${keyword}`),
    ...inner.flatMap(([name, value]) => constraints(value, `${pointer}/${name}`, found)),
  ]
}

t.test('each constraint of the schema has a broken profile', async (t) => {
  const schema = JSON.parse(readFileSync(SCHEMA_FILE, 'utf8'))
  const pointers = new Map<object, string>()
  const all = constraints(schema, '#', pointers)
  t.ok(all.length > 100, 'the schema was walked')
  const ajv = new Ajv2020({ allErrors: true, verbose: true, strict: false })
  ajv.addFormat('size', (text) => (parseBytes(text) ?? 0) > 0)
  const validate = ajv.compile(schema)
  const broken = new Set<string>()
  for (const name of profiles) {
    const { source } = await readSource(join(folder, name))
    if (source) validate(source.value)
    for (const error of (source && validate.errors) ?? []) broken.add(constraint(error))
  }
  t.strictSame(
    all.filter((one) => !broken.has(one)),
    [],
  )

  function constraint({ parentSchema, keyword }: ErrorObject): string {
    return `${pointers.get(parentSchema as object)} ${keyword}`
  }
})
