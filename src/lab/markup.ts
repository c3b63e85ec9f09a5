/**
 * Text from a stick as HTML and XML take it: nothing in it is markup, steers a reader, or fills a page.
 */
import { text } from '../base/xml.js'

/**
 * What XML 1.0 forbids (section 2.2, `Char`; lone surrogates too), the control characters that it merely discourages,
 * and those that turn the direction of text (Unicode TR 36).
 */
const UNFIT =
  /[^\t\n\r\u0020-\u007e\u00a0-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]|[\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu

/** Characters of one text; a stick may say as much as it likes. */
const LONGEST = 2000

/** Any value, as text for an element or an attribute value in quotes. An event's members are of any type. */
export function markup(value: unknown): string {
  const whole = typeof value === 'string' ? value : (JSON.stringify(value) ?? '')
  const shown = whole.length > LONGEST ? `${whole.slice(0, LONGEST)}…` : whole
  return text(shown.replace(UNFIT, '\ufffd'))
}
