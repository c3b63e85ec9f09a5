/**
 * CRC-32 of UEFI 2.10, section 5.3.2 (ISO 3309: reflected polynomial 0xEDB88320, as zlib's).
 *
 * Own, since `zlib.crc32` came with Node 20.15 and 22.2 only; what it reads here is never over some ten KiB.
 */
const TABLE = Uint32Array.from({ length: 256 }, (_, index) => {
  let value = index
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1
  return value
})

/** An unsigned 32-bit number. */
export function crc32(bytes: Uint8Array): number {
  let crc = 0xffffffff
  for (const byte of bytes) crc = (crc >>> 8) ^ (TABLE[(crc ^ byte) & 0xff] as number)
  return (crc ^ 0xffffffff) >>> 0
}
