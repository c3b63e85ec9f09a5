/**
 * CRC-32C (Castagnoli): RFC 3720, section 12.1 (reflected polynomial 0x82F63B78), as EROFS has it: without the last
 * inversion. What it reads here is never over some ten KiB.
 */
const TABLE = Uint32Array.from({ length: 256 }, (_, index) => {
  let value = index
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0x82f63b78 : value >>> 1
  return value
})

/** An unsigned 32-bit number: what the kernel's `crc32c(~0, …)` gives. */
export function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff
  for (const byte of bytes) crc = (crc >>> 8) ^ (TABLE[(crc ^ byte) & 0xff] as number)
  return crc >>> 0
}
