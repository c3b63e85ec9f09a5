/**
 * Byte structs: an on-disk structure as a table of fields in the order of its specification.
 *
 * Left out: lengths that depend on other fields. Decoding refuses what is too short and nothing else: what values
 * mean is for each format to check.
 */
import { KeyvisorError } from '../base/errors.js'
import type { Bytes } from '../base/units.js'

/** How one value stands in a structure. */
export interface Field<T> {
  readonly bytes: Bytes
  decode(from: Buffer, at: number): T
  encode(to: Buffer, at: number, value: T): void
}

/** Reserved bytes: written as zeros, not read. */
export interface Gap extends Field<undefined> {
  readonly gap: true
}

type Fields = Record<string, Field<unknown>>
type Values<F> = {
  [K in keyof F as F[K] extends Gap ? never : K]: F[K] extends { decode(from: Buffer, at: number): infer T }
    ? T
    : never
}

export interface Struct<T> {
  readonly bytes: Bytes
  encode(values: T): Buffer
  /** Throws KeyvisorError `truncated` when fewer bytes are there than the structure has. */
  decode(from: Uint8Array, at?: number): T
}

/** A structure of these fields, one behind the other. `name` is for its errors. */
export function struct<F extends Fields>(name: string, fields: F): Struct<Values<F>> {
  const placed = place(fields)
  const bytes = placed.reduce((sum, { field }) => sum + field.bytes, 0)
  return {
    bytes,
    encode(values) {
      const to = Buffer.alloc(bytes)
      for (const { key, field, offset } of placed) {
        if (!('gap' in field)) field.encode(to, offset, (values as Record<string, unknown>)[key])
      }
      return to
    },
    decode(from, at = 0) {
      const buffer = asBuffer(from)
      if (at + bytes > buffer.length) throw truncated(name, at + bytes, buffer.length)
      const values: Record<string, unknown> = {}
      for (const { key, field, offset } of placed) {
        if (!('gap' in field)) values[key] = field.decode(buffer, at + offset)
      }
      return values as Values<F>
    },
  }
}

function place(fields: Fields): { key: string; field: Field<unknown>; offset: number }[] {
  let end = 0
  return Object.entries(fields).map(([key, field]) => {
    const offset = end
    end += field.bytes
    return { key, field, offset }
  })
}

/** The same bytes, not a copy. */
export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

export function truncated(name: string, wanted: Bytes, found: Bytes): KeyvisorError {
  return new KeyvisorError('truncated', `${name} needs ${wanted} bytes, and there are ${found}`)
}

export const u8: Field<number> = {
  bytes: 1,
  decode: (from, at) => from.readUInt8(at),
  encode: (to, at, value) => to.writeUInt8(value, at),
}

export const u16: Field<number> = {
  bytes: 2,
  decode: (from, at) => from.readUInt16LE(at),
  encode: (to, at, value) => to.writeUInt16LE(value, at),
}

export const u32: Field<number> = {
  bytes: 4,
  decode: (from, at) => from.readUInt32LE(at),
  encode: (to, at, value) => to.writeUInt32LE(value, at),
}

/** All 64 bits, for flags. */
export const flags64: Field<bigint> = {
  bytes: 8,
  decode: (from, at) => from.readBigUInt64LE(at),
  encode: (to, at, value) => to.writeBigUInt64LE(value, at),
}

/**
 * A 64-bit number. Above 2^53 the decoded value is not exact, but it stays above 2^53: every bound that a format
 * checks is far below, so such values are refused there.
 */
export const u64: Field<number> = {
  bytes: 8,
  decode: (from, at) => Number(from.readBigUInt64LE(at)),
  encode: (to, at, value) => to.writeBigUInt64LE(exact(value), at),
}

export const u32be: Field<number> = {
  bytes: 4,
  decode: (from, at) => from.readUInt32BE(at),
  encode: (to, at, value) => to.writeUInt32BE(value, at),
}

/** As {@link u64}, big-endian. */
export const u64be: Field<number> = {
  bytes: 8,
  decode: (from, at) => Number(from.readBigUInt64BE(at)),
  encode: (to, at, value) => to.writeBigUInt64BE(exact(value), at),
}

/** As {@link flags64}, big-endian. */
export const flags64be: Field<bigint> = {
  bytes: 8,
  decode: (from, at) => from.readBigUInt64BE(at),
  encode: (to, at, value) => to.writeBigUInt64BE(value, at),
}

/** Bytes as they are; a shorter value is filled up with zeros. */
export function raw(bytes: Bytes): Field<Buffer> {
  return {
    bytes,
    decode: (from, at) => Buffer.from(from.subarray(at, at + bytes)),
    encode: (to, at, value) => {
      if (value.length > bytes) throw new Error(`BUG: ${value.length} bytes for a field of ${bytes}`)
      to.set(value, at)
    },
  }
}

/** Text of one byte a character, up to the first NUL. */
export function latin1(bytes: Bytes): Field<string> {
  return {
    bytes,
    decode: (from, at) => untilNul(from.toString('latin1', at, at + bytes)),
    encode: (to, at, value) => raw(bytes).encode(to, at, Buffer.from(value, 'latin1')),
  }
}

/** UTF-16LE of at most `units` code units, up to the first NUL. */
export function utf16(units: number): Field<string> {
  return {
    bytes: units * 2,
    decode: (from, at) => untilNul(from.toString('utf16le', at, at + units * 2)),
    encode: (to, at, value) => raw(units * 2).encode(to, at, Buffer.from(value, 'utf16le')),
  }
}

/** A GUID of UEFI 2.10, appendix A: the first three groups little-endian. Lower-case text. */
export const guid: Field<string> = {
  bytes: 16,
  decode: (from, at) => uuidText(swapGroups(from.subarray(at, at + 16))),
  encode: (to, at, value) => to.set(swapGroups(uuidBytes(value)), at),
}

/** A UUID of RFC 9562, as it stands. Lower-case text. */
export const uuid: Field<string> = {
  bytes: 16,
  decode: (from, at) => uuidText(from.subarray(at, at + 16)),
  encode: (to, at, value) => to.set(uuidBytes(value), at),
}

export function gap(bytes: Bytes): Gap {
  return { bytes, gap: true, decode: () => undefined, encode: () => {} }
}

/** Text out of a foreign image, fit to be shown: nothing that could steer a terminal or has no certain width. */
export function printable(text: string): string {
  return text.replace(/[^\x20-\x7e\u00a1-\u024f]/g, '?')
}

function exact(value: number): bigint {
  if (!Number.isSafeInteger(value) || value < 0) throw new Error(`BUG: ${value} is not a whole number`)
  return BigInt(value)
}

function untilNul(text: string): string {
  const end = text.indexOf('\0')
  return end < 0 ? text : text.slice(0, end)
}

function uuidBytes(text: string): Buffer {
  const hex = text.replaceAll('-', '')
  if (!/^[0-9a-f]{32}$/i.test(hex)) throw new Error(`BUG: ${text} is not a UUID`)
  return Buffer.from(hex, 'hex')
}

function uuidText(bytes: Uint8Array): string {
  const hex = Buffer.from(bytes).toString('hex')
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-')
}

function swapGroups(bytes: Uint8Array): Buffer {
  const swapped = Buffer.from(bytes)
  swapped.subarray(0, 4).swap32()
  swapped.subarray(4, 8).swap16()
  return swapped
}
