/**
 * Text that came from outside, fit for a terminal: a profile, a manifest or a tool's output must not steer it.
 *
 * `printable` of the library is stricter, for names in tables whose columns must fit; this one keeps all letters.
 */

/** Control characters (C0 but for the line end, DEL, C1) and those that turn the direction of text (Unicode TR 36). */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const STEERING = /[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g

/** Text of several lines. */
export function safe(text: string): string {
  return text.replace(STEERING, '?')
}

/** A copy of plain JSON in which no text, keys left aside, can steer a terminal or begin a new line. */
export function safeValues<T>(value: T): T {
  if (typeof value === 'string') return safe(value).replaceAll('\n', '?') as T
  if (Array.isArray(value)) return value.map(safeValues) as T
  if (value === null || typeof value !== 'object') return value
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, safeValues(member)])) as T
}
