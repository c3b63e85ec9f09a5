/**
 * Units: bytes, sectors and LBAs, and how people write them.
 *
 * Free of `node:` imports: the stick runs this file too, under qjs.
 * Left out: decimal units (GB). A bare `4G` is refused, since it means two different sizes to two people.
 */

/** A length in bytes. */
export type Bytes = number & { readonly __unit?: 'bytes' }

/** A logical block address, in sectors of 512 bytes from the start of the disk. */
export type Lba = number & { readonly __unit?: 'lba' }

/** Bytes in a sector. USB sticks and the disks QEMU emulates have 512; 4Kn is not supported. */
export const SECTOR: Bytes = 512
export const KiB: Bytes = 1024
export const MiB: Bytes = 1024 * KiB
export const GiB: Bytes = 1024 * MiB
export const TiB: Bytes = 1024 * GiB

const FACTORS: Record<string, Bytes> = { B: 1, KiB, MiB, GiB, TiB }
const NAMES = ['TiB', 'GiB', 'MiB', 'KiB'] as const

/** `1 CPU`, `2 CPUs`. */
export function formatCpus(count: number): string {
  return `${count} CPU${count === 1 ? '' : 's'}`
}

/** How a size is written in a profile and on the command line. Shared with the JSON Schema. */
export const SIZE_PATTERN = /^([0-9]+)(B|KiB|MiB|GiB|TiB)$/

/** Parses `4GiB`; undefined when the text is not a size in the form of {@link SIZE_PATTERN}. */
export function parseBytes(text: string): Bytes | undefined {
  const match = SIZE_PATTERN.exec(text)
  if (!match) return undefined
  const value = Number(match[1]) * (FACTORS[match[2] as string] as number)
  return Number.isSafeInteger(value) ? value : undefined
}

/** Parses a share such as `50%`, from 1 to 100; undefined for any other text. */
export function parsePercent(text: string): number | undefined {
  const match = /^([1-9][0-9]?|100)%$/.exec(text)
  return match ? Number(match[1]) : undefined
}

/** The shortest exact or one-decimal form that a person reads: `512MiB`, `1.5GiB`, `731B`. */
export function formatBytes(bytes: Bytes): string {
  for (const name of NAMES) {
    const factor = FACTORS[name] as number
    if (bytes >= factor) return `${Math.round((bytes / factor) * 10) / 10}${name}`
  }
  return `${bytes}B`
}

/** As a profile has it: exact, in the largest unit of which it is a whole number. */
export function formatSize(bytes: Bytes): string {
  const name = NAMES.find((unit) => bytes > 0 && bytes % (FACTORS[unit] as number) === 0) ?? 'B'
  return `${bytes / (FACTORS[name] as number)}${name}`
}

/** The least multiple of `alignment` that is not below `value`; same unit in and out. */
export function alignUp(value: number, alignment: number): number {
  return Math.ceil(value / alignment) * alignment
}
