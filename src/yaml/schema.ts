/**
 * Schema: a value against `schemas/profile.schema.json` by ajv, with its errors turned into what a person would say.
 *
 * A union that fits in none of its branches gives ajv one error for each reason in each branch. All of those are
 * dropped; the branch that the user meant is chosen by the value, and the value is checked against that alone.
 */
import type { ErrorObject, ValidateFunction } from 'ajv/dist/2020.js'
import { compile } from './compile.js'
import type { Finding, ProfilePath } from './problems.js'
import { PROFILE_SCHEMA } from './profile-schema.js'
import { profileValidator } from './profile-validator.js'
import { closest, expected, findingOf, keysOf, kindOf, quoted, type Schema, typeHint } from './wording.js'

/** Checks values against a schema; its unions, if it has any, may only refer to definitions of the profile's. */
export function schemaCheck(of: Schema): (value: unknown) => Finding[] {
  let validate: ValidateFunction | undefined
  return (value) => {
    validate ??= compile(of)
    return check(validate, value, [])
  }
}

/** Everything in a value that the schema does not allow; empty when it is a Profile. */
export function checkSchema(value: unknown): Finding[] {
  return check(profileValidator(), value, [])
}

function check(validator: ValidateFunction, value: unknown, prefix: ProfilePath): Finding[] {
  if (validator(value)) return []
  const errors = validator.errors ?? []
  const unions = outermost(errors.filter(({ keyword }) => keyword === 'anyOf'))
  const rest = errors.filter((error) => !unions.some((union) => isWithin(error, union)))
  const place = (error: ErrorObject) => [...prefix, ...steps(error.instancePath, value)]
  return withoutMisspelt([
    ...rest.map((error) => findingOf(error, place(error))),
    ...unions.flatMap((union) => checkUnion(union, place(union))),
  ])
}

function isWithin(error: ErrorObject, outer: ErrorObject): boolean {
  return error.instancePath === outer.instancePath || error.instancePath.startsWith(`${outer.instancePath}/`)
}

function outermost(unions: ErrorObject[]): ErrorObject[] {
  return unions.filter((union) => !unions.some((outer) => outer !== union && isWithin(union, outer)))
}

/** A JSON pointer (RFC 6901) as steps into `value`. */
function steps(pointer: string, value: unknown): ProfilePath {
  let at = value
  return pointer
    .split('/')
    .slice(1)
    .map((part) => {
      const key = part.replaceAll('~1', '/').replaceAll('~0', '~')
      const step = Array.isArray(at) ? Number(key) : key
      at = (at as Record<string | number, unknown>)[step]
      return step
    })
}

/** `nmae: x` is one mistake, not an unknown key and a missing one. */
function withoutMisspelt(findings: Finding[]): Finding[] {
  const meant = findings
    .filter(({ meant }) => meant !== undefined)
    .map(({ path, meant }) => [...path.slice(0, -1), meant].join('\0'))
  return findings.filter(({ code, path }) => code !== 'missing-key' || !meant.includes(path.join('\0')))
}

// ---------------------------------------------------------------------------------------------- unions

function checkUnion(union: ErrorObject, path: ProfilePath): Finding[] {
  const value: unknown = union.data
  const branches = (union.schema as Schema[]).map((branch) => definition(branch))
  const all = `${quoted(value, union.parentSchema as Schema)} is not ${branches.map(expected).join(', or ')}`
  const fitting = branches.filter((branch) => fits(branch, value))
  if (fitting.length === 0) {
    const hint = branches.map((branch) => typeHint(branch, value)).find((text) => text !== undefined)
    return [{ code: 'wrong-type', path, message: all, hint }]
  }
  if (kindOf(value) !== 'object') {
    const findings = checkBranch(union, branches.indexOf(fitting[0] as Schema), path)
    return findings.map((finding) => (finding.code === 'not-one-of' ? { ...finding, message: all } : finding))
  }
  return checkObject(union, branches, value as object, path)
}

/** A `$ref` to `$defs` followed; other schemas as they are. */
function definition(branch: Schema): Schema {
  return branch.$ref ? (PROFILE_SCHEMA.$defs?.[branch.$ref.slice('#/$defs/'.length)] as Schema) : branch
}

function fits(branch: Schema, value: unknown): boolean {
  const kinds = branch.enum ? branch.enum.map(kindOf) : [branch.type === 'integer' ? 'number' : branch.type]
  return kinds.includes(kindOf(value))
}

function checkBranch(union: ErrorObject, branch: number, path: ProfilePath): Finding[] {
  const alone = (union.schema as Schema[])[branch] as Schema
  return check(compile({ $defs: PROFILE_SCHEMA.$defs ?? {}, ...alone }), union.data, path)
}

/** The branch with the most keys of the value is meant; where none has any, the one with the most alike. */
function checkObject(union: ErrorObject, branches: Schema[], value: object, path: ProfilePath): Finding[] {
  const keys = Object.keys(value)
  const known = (branch: Schema) => keys.filter((key) => keysOf(branch).includes(key)).length
  const alike = (branch: Schema) => keys.filter((key) => closest(key, keysOf(branch))).length
  const objects = branches.filter((branch) => fits(branch, value))
  const best = objects.toSorted((a, b) => known(b) - known(a) || alike(b) - alike(a))[0] as Schema
  const choice = objects.map((branch) => (branch.required ?? []).join(' and ')).join(', or ')
  const isClear = objects.length === 1 || known(best) > 0 || alike(best) > 0
  if (!isClear) return noBranch(keys, path, choice)
  const others = objects.filter((branch) => branch !== best).flatMap(keysOf)
  return checkBranch(union, branches.indexOf(best), path).map((finding) => {
    const key = finding.path.at(-1) as string
    const isHere = finding.path.length === path.length + 1
    if (finding.code !== 'unknown-key' || !isHere || !others.includes(key)) return finding
    const message = `${key} does not go with ${keys.find((other) => keysOf(best).includes(other))}`
    return { code: 'conflicting-key', path: finding.path, at: 'key', message, hint: `give ${choice}` }
  })
}

function noBranch(keys: string[], path: ProfilePath, choice: string): Finding[] {
  if (keys.length === 0) return [{ code: 'missing-key', path, message: `this needs ${choice}` }]
  return keys.map((key) => ({
    code: 'unknown-key',
    path: [...path, key],
    at: 'key',
    message: `there is no key ${key} here`,
    hint: `give ${choice}`,
  }))
}
