/**
 * The validator of profiles. In the program, `scripts/bundle.js` has what ajv makes of it in place of this module.
 */
import type { ValidateFunction } from 'ajv/dist/2020.js'
import { compile } from './compile.js'
import { PROFILE_SCHEMA } from './profile-schema.js'

let validator: ValidateFunction | undefined

/** Its errors are ajv's, on itself. */
export function profileValidator(): ValidateFunction {
  validator ??= compile(PROFILE_SCHEMA)
  return validator
}
