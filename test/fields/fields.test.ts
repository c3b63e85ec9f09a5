/**
 * Every field of the profile has a row that shows its effect, and every row is of use. What is planned or validated is asked
 * here; what takes a stick, `test/long/fields.test.ts` asks.
 */
import { isDeepStrictEqual } from 'node:util'
import t from 'tap'
import { needTools } from '../support/tools.js'
import { askPlan, askValidate } from './planned.js'
import { fits, type Row, STICKS, stepsOf } from './row.js'
import { ROWS } from './rows.js'
import { FIELDS, type Field } from './schema-fields.js'
import {
  ENVIRONMENT,
  isBuilt,
  layFiles,
  profileOf,
  profileWith,
  profileWithout,
  valueAt,
  valuesAt,
} from './sticks.js'

const rowsOf = ({ path }: Field) => ROWS.filter(({ field }) => field === path)
const inWords = ({ field, value }: Row) => `${field}: ${JSON.stringify(value).slice(0, 60)}`

/** A value, or one of a list. */
function hasValue(row: Row, value: unknown): boolean {
  return row.value === value || (Array.isArray(row.value) && row.value.includes(value as never))
}

t.test('the fields of the schema are found', async (t) => {
  const paths = FIELDS.map(({ path }) => path)
  t.ok(paths.length > 60, `${paths.length} fields`)
  t.strictSame([...new Set(paths)], paths)
  for (const path of ['version', 'host.network.wifi[].passphrase.env', 'guests[].cpus', 'guests[].cpus.min'])
    t.ok(paths.includes(path), path)
  t.notOk(paths.includes('host.network.uplink'), 'there is nothing beside dhcp but the fields of an address')
  t.match(
    FIELDS.find(({ path }) => path === 'guests[].ready'),
    { values: ['agent'] },
  )
})

t.test('each field has a row, and so has each value of those that have a list of them', async (t) => {
  for (const field of FIELDS) {
    t.not(rowsOf(field).length, 0, `${field.path} has a row in test/fields/`)
    const usual = valuesAt(profileOf('usual'), field.path)
    for (const value of field.values.filter((value) => !usual.includes(value)))
      t.ok(
        rowsOf(field).some((row) => hasValue(row, value)),
        `${field.path}: there is a row with ${value}`,
      )
  }
})

t.test('each row is of a field, and its value is another than the default', async (t) => {
  for (const row of ROWS) {
    const field = FIELDS.find(({ path }) => path === row.field)
    if (!t.ok(field, `the schema has ${row.field}`)) continue
    t.notSame(row.value, field?.default, `${inWords(row)} is not the default`)
    const usual = valueAt(profileOf('usual'), stepsOf(row))
    const isThere = !row.otherAsk && isDeepStrictEqual(row.value, usual)
    t.notOk(isThere, `${inWords(row)} is not what the usual stick has`)
    t.notOk(fits(row.expected, row.other), `${inWords(row)}: its answer is not that of the default`)
  }
})

if (needTools(t, 'qemu-img', 'mmdebstrap', 'mkfs.vfat', 'mcopy')) {
  const folder = t.testdir()
  await layFiles(folder)
  Object.assign(process.env, ENVIRONMENT)

  t.test('the profile of each stick is valid, and has the values of its rows', async (t) => {
    for (const name of ['usual', ...STICKS] as const)
      t.equal(await askValidate(profileOf(name), folder), '', name)
    for (const row of ROWS.filter(isBuilt)) {
      const built = profileOf(row.on ?? 'changed')
      t.strictSame(
        valueAt(built, stepsOf(row)),
        row.value,
        `${inWords(row)} is not overwritten by another row`,
      )
    }
  })

  for (const [where, ask] of [
    ['plan', (profile, row) => askPlan(profile, row.ask)],
    ['validate', (profile) => askValidate(profile, folder)],
  ] as [string, (profile: ReturnType<typeof profileOf>, row: Row) => Promise<string>][])
    t.test(`what is asked at ${where}`, async (t) => {
      for (const row of ROWS.filter((row) => row.where === where)) {
        t.equal(await ask(profileWith(row), row), row.expected, inWords(row))
        const other = await ask(profileWithout(row), row)
        t.ok(fits(other, row.other), `${inWords(row)}: else it is the other answer`, { other })
      }
    })
}
