/**
 * Schemas compiled by ajv as Keyvisor has them. It is loaded when it is first asked for: of a profile's schema the program
 * has a validator that was compiled ahead (`profile-validator.ts`).
 */
import { createRequire } from 'node:module'
import type { Ajv2020, Options, ValidateFunction } from 'ajv/dist/2020.js'
import { formats } from './formats.js'
import type { Schema } from './wording.js'

// That the schemas are schemas is for a test to say, and to compile the schema of schemas took longer than all the rest.
// Code that runs once is not worth improving.
export const AJV_OPTIONS = {
  allErrors: true,
  verbose: true,
  strictRequired: false,
  meta: false,
  validateSchema: false,
  formats,
  keywords: ['x-unit', 'x-expects', 'x-default', 'x-secret'],
  code: { optimize: false },
} as const satisfies Options

let ajv: Ajv2020 | undefined

/** Schemas with an `$id` are known to those that come after. */
export function compile(schema: Schema): ValidateFunction {
  ajv ??= newAjv()
  return ajv.compile(schema)
}

function newAjv(): Ajv2020 {
  const { Ajv2020 } = createRequire(import.meta.url)('ajv/dist/2020.js')
  return new Ajv2020({ ...AJV_OPTIONS, keywords: [...AJV_OPTIONS.keywords] })
}
