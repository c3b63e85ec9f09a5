/**
 * Wording: one error of ajv as one finding in the user's words, with what would mend it.
 *
 * A file of its own, since the words change more often than how errors are chosen.
 */
import type { ErrorObject } from 'ajv/dist/2020.js'
import { distance } from 'fastest-levenshtein'
import type { Code } from '../base/codes.js'
import { parseBytes } from '../base/units.js'
import type { Finding, ProfilePath } from './problems.js'

/** What this room reads of a JSON Schema. */
export interface Schema {
  $id?: string
  $ref?: string
  $defs?: Record<string, Schema>
  title?: string
  type?: string
  format?: string
  enum?: unknown[]
  const?: unknown
  minimum?: number
  maximum?: number
  required?: string[]
  properties?: Record<string, Schema>
  items?: Schema
  'x-expects'?: string
  'x-secret'?: boolean
}

export type Kind = 'nothing' | 'list' | 'object' | 'string' | 'number' | 'boolean'

export function kindOf(value: unknown): Kind {
  if (value === null || value === undefined) return 'nothing'
  return Array.isArray(value) ? 'list' : (typeof value as Kind)
}

export function keysOf(schema: Schema): string[] {
  return Object.keys(schema.properties ?? {})
}

/** A value as a person would quote it, cut where it is long. */
function shown(value: unknown): string {
  const kind = kindOf(value)
  if (kind === 'nothing') return 'nothing'
  if (kind === 'list' || kind === 'object') return kind === 'list' ? 'a list' : 'an object'
  const text = JSON.stringify(value)
  return text.length > 60 ? `${text.slice(0, 57)}…"` : text
}

/** A value as errors quote it: what may be a secret is never shown. */
export function quoted(value: unknown, schema: Schema): string {
  return schema['x-secret'] ? 'the value' : shown(value)
}

/** What a schema allows, in words. */
export function expected(schema: Schema): string {
  if (schema['x-expects']) return schema['x-expects']
  if (schema.enum) return schema.enum.join(', ')
  if (schema.type === 'object') return `an object with ${keysOf(schema).join(', ')}`
  if (schema.type === 'integer') return `a whole number from ${schema.minimum} to ${schema.maximum}`
  return { array: 'a list', string: 'text' }[schema.type as 'array' | 'string']
}

/**
 * The word that was probably meant: two letters differ (two that changed places count as two), or a third of a long
 * word's.
 */
export function closest(word: string, candidates: readonly string[]): string | undefined {
  const lower = word.toLowerCase()
  const isNear = (candidate: string, far: number) => {
    const length = Math.max(word.length, candidate.length)
    return far < length && far <= Math.max(2, Math.floor(length / 3))
  }
  return candidates
    .map((candidate) => ({ candidate, far: distance(lower, candidate.toLowerCase()) }))
    .filter(({ candidate, far }) => isNear(candidate, far))
    .toSorted((a, b) => a.far - b.far)[0]?.candidate
}

const didYouMean = (word: string | undefined) => (word === undefined ? undefined : `did you mean ${word}?`)

/** A hint that names what was probably meant; undefined where nobody can say. */
export function meantHint(words: readonly string[]): string | undefined {
  return didYouMean(words.length > 0 ? words.join(' or ') : undefined)
}

/** One error of ajv, other than a union's, as a finding. `place` is the value that the error is about. */
export function findingOf(error: ErrorObject, place: ProfilePath): Finding {
  const known = WORDS[error.keyword]
  if (!known) throw new Error(`BUG: the schema uses ${error.keyword}, which has no words yet`)
  return { path: place, ...known(error, place) }
}

type Words = Omit<Finding, 'path'> & { path?: ProfilePath }

const parent = (error: ErrorObject) => error.parentSchema as Schema

/** One entry for each keyword of the schema that can fail. A union (`anyOf`) is settled before. */
const WORDS: Record<string, (error: ErrorObject, place: ProfilePath) => Words> = {
  additionalProperties(error, place) {
    const key = error.params['additionalProperty'] as string
    const keys = keysOf(parent(error))
    const meant = closest(key, keys)
    const hint = didYouMean(meant) ?? `keys here: ${keys.join(', ')}`
    const message = `there is no key ${shownKey(key)} here`
    return { code: 'unknown-key', path: [...place, key], at: 'key', message, hint, meant }
  },
  required(error, place) {
    const key = error.params['missingProperty'] as string
    return { code: 'missing-key', path: [...place, key], message: `the key ${key} is missing` }
  },
  type: ({ data, parentSchema }) => ({
    code: 'wrong-type',
    message: `${shown(data)} is not ${expected(parentSchema as Schema)}`,
    hint: typeHint(parentSchema as Schema, data),
  }),
  enum: ({ data, schema }) => notOneOf(data, schema as unknown[]),
  const: ({ data, schema }) => notOneOf(data, [schema]),
  pattern: (error) => badText(error),
  format: ({ data }) => ({ code: 'bad-size', message: `${shown(data)} is 0, or more than any disk has` }),
  minLength: () => ({ code: 'empty-text', message: 'the text is empty' }),
  minimum: (error) => limit('too-small', error, 'is less than'),
  maximum: (error) => limit('too-large', error, 'is more than'),
  minItems: (error) => count('too-few', error, 'at least'),
  maxItems: (error) => count('too-many', error, 'at most'),
  uniqueItems({ params, data }, place) {
    const [first, second] = [params['i'], params['j']].toSorted((a, b) => a - b) as [number, number]
    const message = `${shown((data as unknown[])[second])} stands here already, as entry ${first + 1}`
    return { code: 'duplicate-entry', path: [...place, second], message, hint: 'keep one of the two' }
  },
}

const shownKey = (key: string) => (/^[\w-]+$/.test(key) ? key : JSON.stringify(key))

function notOneOf(value: unknown, allowed: unknown[]): Words {
  const words = allowed.map(String)
  const hint = typeof value === 'string' ? didYouMean(closest(value, words)) : undefined
  const message = `${shown(value)} is not ${words.length > 1 ? 'one of ' : ''}${words.join(', ')}`
  return { code: 'not-one-of', message, hint }
}

function badText(error: ErrorObject): Words {
  const schema = parent(error)
  const isSize = schema.format === 'size'
  const code: Code = isSize ? 'bad-size' : 'bad-pattern'
  const message = `${quoted(error.data, schema)} is not ${expected(schema)}`
  return { code, message, hint: isSize ? sizeHint(error.data as string) : undefined }
}

function limit(code: Code, error: ErrorObject, words: string): Words {
  return { code, message: `${error.data} ${words} ${error.params['limit']}` }
}

function count(code: Code, { data, params }: ErrorObject, words: string): Words {
  const has = (data as unknown[]).length
  return { code, message: `the list has ${has} entries; it must have ${words} ${params['limit']}` }
}

/** What mends a value of the wrong type, where that can be said. */
export function typeHint(schema: Schema, value: unknown): string | undefined {
  const kind = kindOf(value)
  if (kind === 'nothing') return 'give it a value, or leave the key out'
  if (schema.format === 'size' && kind === 'number') return `write a unit, such as ${value}MiB`
  if (schema.type === 'string' && (kind === 'number' || kind === 'boolean')) return 'put the value in quotes'
  if (schema.type === 'integer' && kind === 'string' && Number.isInteger(Number(value))) {
    return 'write the number without quotes'
  }
  if (schema.type === 'array') return 'write a list: each entry on a line of its own, after a dash'
  return undefined
}

/** `4G`, `4gb`, `4 GiB` and `1.5GiB` are meant as something: says how to write it. */
export function sizeHint(text: string): string | undefined {
  const match = /^([0-9]+)(?:\.([0-9]+))?\s*([kmgt])i?b?$/i.exec(text.trim())
  if (!match) return undefined
  const [, whole, fraction, letter] = match as unknown as [string, string, string | undefined, string]
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB']
  const unit = 'kmgt'.indexOf(letter.toLowerCase()) + 1
  if (fraction === undefined) return `write ${whole}${units[unit]}`
  const smaller = Math.round(Number(`${whole}.${fraction}`) * 1024)
  const written = `${smaller}${units[unit - 1]}`
  return parseBytes(written) === undefined ? undefined : `write ${written}`
}
