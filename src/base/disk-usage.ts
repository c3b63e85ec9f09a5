/**
 * What files take on their disk.
 */
import type { Bytes } from './units.js'

/** Less than the size where there are holes. stat(2) counts blocks of 512 bytes, whatever the file system's own. */
export function allocatedBytes({ blocks }: { blocks: number }): Bytes {
  return blocks * 512
}
