/**
 * What initrd and host know of the stick that they are for: a file of assignments of sh(1), which is in both.
 */
import { ARCHITECTURES, type ArchitectureName } from '../arch/architecture.js'
import { partitionNumbers } from './partitions.js'

export function factsText(name: ArchitectureName): string {
  const { debian, serial } = ARCHITECTURES[name]
  return `ARCHITECTURE=${debian}\nSERIAL=${serial}\n${partitionNumbers()}`
}
