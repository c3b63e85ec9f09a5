/**
 * XML: the one thing that our writers of it share. Free of `node:` imports: the stick runs this file under qjs.
 */

/** Text and attribute values of XML 1.0 (section 2.4). */
export function text(value: string): string {
  return value.replace(/[&<>'"]/g, (character) => `&#${character.charCodeAt(0)};`)
}
