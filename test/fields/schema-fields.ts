/**
 * The fields of the profile's schema, as paths: each of every object that can be reached from it, and each alternative.
 */
import { readFileSync } from 'node:fs'
import type { Json } from '../../src/base/digests.js'
import { SCHEMA_FILE } from '../../src/yaml/profile-schema.js'

interface Node {
  type?: string
  properties?: Record<string, Node>
  items?: Node
  anyOf?: Node[]
  enum?: Json[]
  const?: Json
  default?: Json
  $ref?: string
}

export interface Field {
  /** Such as `guests[].disks[].size`; an alternative that is an object goes by its own fields, as `guests[].cpus.min`. */
  path: string
  /** Undefined where the schema has none. */
  default: Json | undefined
  /** Every value that it can have beside the default, where the schema lists them. */
  values: Json[]
}

const { $defs, ...profile } = JSON.parse(readFileSync(SCHEMA_FILE, 'utf8')) as Node & {
  $defs: Record<string, Node>
}

/** A definition with what stands beside its reference, which goes first. */
function resolved({ $ref, ...node }: Node): Node {
  if ($ref === undefined) return node
  return { ...resolved($defs[$ref.slice('#/$defs/'.length)] as Node), ...node }
}

function fieldsBelow(given: Node, path: string): Field[] {
  const node = resolved(given)
  if (node.properties)
    return Object.entries(node.properties).flatMap(([key, inner]) =>
      fieldsBelow(inner, path === '' ? key : `${path}.${key}`),
    )
  if (node.anyOf) return alternatives(node, path)
  if (node.type === 'array' && hasObjects(node.items)) {
    const entries = fieldsBelow(node.items as Node, `${path}[]`)
    // An empty list says something only where the default is another.
    return hasEntries(node.default) ? [leaf({ default: node.default as Json }, path), ...entries] : entries
  }
  return [leaf(node, path)]
}

/** What is no object is one field; none where it is the default and nothing else. */
function alternatives({ anyOf = [], default: usual }: Node, path: string): Field[] {
  const branches = anyOf.map(resolved)
  const fields = branches.filter(isObject).flatMap((branch) => fieldsBelow(branch, path))
  // What two alternatives have in common is one field.
  const objects = [...new Map(fields.map((field) => [field.path, field])).values()]
  const plain = branches.filter((branch) => !isObject(branch))
  const withDefault = usual === undefined ? {} : { default: usual }
  const listed = plain.flatMap((branch) => branch.enum ?? [])
  const own = leaf({ ...withDefault, ...(listed.length > 0 ? { enum: listed } : {}) }, path)
  return plain.length === 0 || (listed.length > 0 && own.values.length === 0) ? objects : [own, ...objects]
}

function leaf({ default: usual, enum: listed, const: only, items }: Node, path: string): Field {
  const values = listed ?? (items && resolved(items).enum) ?? []
  return { path, default: usual ?? only, values: values.filter((value) => value !== usual) }
}

function isObject(node: Node | undefined): boolean {
  return node !== undefined && resolved(node).properties !== undefined
}

/** Also a choice of objects. */
function hasObjects(node: Node | undefined): boolean {
  return isObject(node) || (node?.anyOf ?? []).some(isObject)
}

function hasEntries(value: Json | undefined): boolean {
  return Array.isArray(value) && value.length > 0
}

export const FIELDS: readonly Field[] = fieldsBelow(profile, '')
