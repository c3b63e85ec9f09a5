/**
 * Block devices, such as a stick that is plugged in: stat(2) tells nothing of their size, but sysfs does.
 */
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { type Bytes, SECTOR } from '../base/units.js'

export interface Device {
  size: Bytes
  /** True for `/dev/sdb1`, false for `/dev/sdb`. */
  isPartition: boolean
}

/** What the kernel says of a device; `rdev` is of stat(2). Kernel: Documentation/ABI/testing/sysfs-dev. */
export async function readDevice(rdev: number): Promise<Device> {
  const folder = `/sys/dev/block/${major(rdev)}:${minor(rdev)}`
  // In sectors of 512 bytes, whatever the device's own (kernel: Documentation/ABI/stable/sysfs-block).
  const size = Number(await readFile(`${folder}/size`, 'utf8')) * SECTOR
  return { size, isPartition: existsSync(`${folder}/partition`) }
}

/** As glibc's makedev(3) packs the two, for numbers of up to 32 bits together. */
function major(rdev: number): number {
  return (rdev >>> 8) & 0xfff
}

function minor(rdev: number): number {
  return (rdev & 0xff) | ((rdev >>> 12) & 0xfff00)
}
