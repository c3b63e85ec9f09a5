/**
 * What a schema's patterns cannot say.
 */
import { parseBytes, SIZE_PATTERN } from '../base/units.js'

export const formats = {
  /** Above nothing, and exact as a number. A text of another form is the pattern's. */
  size: (text: string): boolean => !SIZE_PATTERN.test(text) || (parseBytes(text) ?? 0) > 0,
}
