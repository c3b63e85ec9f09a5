/**
 * Size: one of a profile as a number.
 */
import { type Bytes, parseBytes } from '../base/units.js'

/** A size that the schema has let through. */
export function sizeBytes(text: string): Bytes {
  const value = parseBytes(text)
  if (value === undefined) throw new Error(`BUG: ${text} is not a size`)
  return value
}
