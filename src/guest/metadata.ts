/**
 * What a domain of ours carries for us, whatever runs it: the digest of the definition that it was made from.
 *
 * Free of `node:` imports: the stick runs this file under qjs.
 *
 * Spec: libvirt.org/formatdomain.html, "General metadata".
 */
import { text } from '../base/xml.js'
import type { LibraryGuest } from './definition.js'

/** Namespace of the element that a domain's metadata carries. */
const DOMAIN_NAMESPACE = 'urn:keyvisor:guest:1'

/** The element, indented by two. */
export function metadataXml({ definition }: Pick<LibraryGuest, 'definition'>): string {
  return `  <metadata>
    <keyvisor:guest xmlns:keyvisor='${DOMAIN_NAMESPACE}' definition='${text(definition)}'/>
  </metadata>`
}

/** Digest of the definition that a printed domain was made from; undefined when it was not made by us. */
export function definitionOf(xml: string): string | undefined {
  const element = new RegExp(`<keyvisor:guest (?=[^>]*['"]${DOMAIN_NAMESPACE}['"])[^>]*`).exec(xml)?.[0]
  return / definition=['"]([^'"]*)['"]/.exec(element ?? '')?.[1]
}
