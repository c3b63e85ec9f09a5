/**
 * Digests: SHA-256 of values, files and streams, a slow one for weak texts, canonical JSON, and UUIDs that derive from
 * digests.
 */
import { createHash, scryptSync } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { onFile } from './file-errors.js'

/** Lower-case hexadecimal SHA-256, 64 characters. */
export type Sha256 = string

export function isSha256(text: unknown): text is Sha256 {
  return typeof text === 'string' && /^[0-9a-f]{64}$/.test(text)
}

export type Json = string | number | boolean | null | Json[] | { [key: string]: Json }

export function sha256(input: string | Uint8Array): Sha256 {
  return createHash('sha256').update(input).digest('hex')
}

/** OWASP Password Storage Cheat Sheet, "scrypt": each guess costs 128 MiB and some 0.3 s. */
const STRETCH = { N: 2 ** 17, r: 8, p: 1, maxmem: 160 * 1024 * 1024 }

/**
 * A digest of a text that may be weak, such as a passphrase: who reads it cannot try many texts quickly. The salt is
 * public; it makes guesses for one text worthless for another. 64 hexadecimal digits. Spec: RFC 7914 (scrypt).
 */
export function stretchedDigest(text: string, salt: string): string {
  return scryptSync(text, salt, 32, STRETCH).toString('hex')
}

/** Digest and length of a file's bytes. Rejects with the errors of `fs.createReadStream`. */
export async function sha256File(path: string): Promise<{ sha256: Sha256; size: number }> {
  const hash = createHash('sha256')
  let size = 0
  await onFile(path, async () => {
    for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) {
      hash.update(chunk as Buffer)
      size += (chunk as Buffer).length
    }
  })
  return { sha256: hash.digest('hex'), size }
}

/**
 * JSON with keys sorted by code unit and no white space, so that equal values give equal text whatever the
 * locale. Values that JSON cannot carry are our own bug.
 */
export function canonicalJson(value: Json): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`
  if (value !== null && typeof value === 'object') {
    const members = Object.keys(value)
      .sort()
      .map((key) => `${JSON.stringify(key)}:${canonicalJson(value[key] as Json)}`)
    return `{${members.join(',')}}`
  }
  if (typeof value === 'number' && !Number.isFinite(value)) throw new Error(`BUG: ${value} is not JSON`)
  if (value === undefined) throw new Error('BUG: undefined is not JSON')
  return JSON.stringify(value)
}

/**
 * A UUID that depends on nothing but the words given: version 8 ("custom") of RFC 9562, section 5.8,
 * from the first 16 bytes of a SHA-256.
 */
export function derivedUuid(...words: string[]): string {
  const bytes = createHash('sha256').update(canonicalJson(words)).digest().subarray(0, 16)
  bytes[6] = ((bytes[6] as number) & 0x0f) | 0x80
  bytes[8] = ((bytes[8] as number) & 0x3f) | 0x80
  const hex = bytes.toString('hex')
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-')
}
