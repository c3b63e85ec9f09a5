/**
 * How two JSON values differ, place by place.
 *
 * A list whose members all have names (`name`) is compared by them, a list of texts as a set; every other list by place.
 */
import { canonicalJson, type Json } from './digests.js'

/** One place where they differ; `before` or `after` is absent where the place is only in the other. */
export interface JsonChange {
  path: string[]
  before?: Json
  after?: Json
}

type Members = Record<string, Json>

/** Empty when both are equal. Either may come from outside: no member is taken for more than a value. */
export function jsonChanges(before: Json, after: Json, path: string[] = []): JsonChange[] {
  if (canonicalJson(before) === canonicalJson(after)) return []
  if (isTexts(before) && isTexts(after)) return textChanges(before, after, path)
  const [a, b] = [membersOf(before), membersOf(after)]
  if (!a || !b || Array.isArray(before) !== Array.isArray(after)) return [{ path, before, after }]
  const changes: JsonChange[] = []
  for (const key of [...new Set([...a.keys(), ...b.keys()])].sort()) {
    const place = [...path, key]
    const [one, other] = [a.get(key), b.get(key)]
    if (one === undefined) changes.push({ path: place, after: other as Json })
    else if (other === undefined) changes.push({ path: place, before: one })
    else changes.push(...jsonChanges(one, other, place))
  }
  return changes
}

function isTexts(value: Json): value is string[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'string')
}

function textChanges(before: string[], after: string[], path: string[]): JsonChange[] {
  const [a, b] = [new Set(before), new Set(after)]
  const gone = before.filter((item) => !b.has(item)).map((item) => ({ path, before: item }))
  const come = after.filter((item) => !a.has(item)).map((item) => ({ path, after: item }))
  // The same texts in another order, or some of them twice.
  return gone.length + come.length > 0 ? [...gone, ...come] : [{ path, before, after }]
}

/** Undefined for what has no members. */
function membersOf(value: Json): Map<string, Json> | undefined {
  if (value === null || typeof value !== 'object') return undefined
  if (!Array.isArray(value)) return new Map(Object.entries(value))
  const names = value.map((item) => (isNamed(item) ? item.name : undefined))
  const byName = names.every((name) => name !== undefined) && new Set(names).size === names.length
  return new Map(value.map((item, index) => [byName ? (names[index] as string) : String(index), item]))
}

function isNamed(value: Json): value is Members & { name: string } {
  return (
    value !== null && typeof value === 'object' && !Array.isArray(value) && typeof value['name'] === 'string'
  )
}
