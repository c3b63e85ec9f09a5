/**
 * The partitions of a stick, one row each: the one place that says their numbers, names, types and contents. Layout,
 * inspection, GRUB's core image and the initrd go by it.
 *
 * Left out: where they begin (`layout.ts`).
 */
import { ARCHITECTURES } from '../arch/architecture.js'
import type { Bytes } from '../base/units.js'
import type { Content } from '../disk/identify.js'
import { PARTITION_TYPE } from '../disk/partition-type.js'
import type { StickPlan } from './definition.js'

export type PayloadName = 'biosBoot' | 'esp' | 'root' | 'settings' | 'library'

/** Where a host can be: the other slot is for its update. */
export type HostSlot = 'a' | 'b'

interface PartitionRow {
  /** As the GPT has it. */
  name: string
  /** What an image has in it; null: nothing. */
  payload: PayloadName | null
  /** Kinds of content that it may have, the usual one first. */
  holds: readonly Content['kind'][]
  /** Partition type GUID, lower case. */
  type: (stick: StickPlan) => string
  /** @param library bytes of the library's file system and hash tree */
  size: (stick: StickPlan, library: Bytes) => Bytes
  /** Space that stays free behind it. */
  freeBehind?: (stick: StickPlan) => Bytes
  /** Where the profile sets its size, or what else to do, when its payload does not fit. */
  mend: string
}

const rootType = ({ architecture }: StickPlan) => ARCHITECTURES[architecture].rootPartition

/** In the order of their numbers, from 1. Sticks out there have them so: a number is never given to another. */
export const PARTITIONS = [
  {
    name: 'bios-boot',
    payload: 'biosBoot',
    holds: ['grub'],
    type: () => PARTITION_TYPE.biosBoot,
    size: ({ biosBoot }) => biosBoot,
    mend: 'report this: the boot loader should always fit',
  },
  {
    name: 'esp',
    payload: 'esp',
    holds: ['fat'],
    type: () => PARTITION_TYPE.esp,
    size: ({ esp }) => esp,
    freeBehind: ({ secondEsp }) => secondEsp,
    mend: 'raise `stick.esp`',
  },
  {
    name: 'root-a',
    payload: 'root',
    holds: ['squashfs'],
    type: rootType,
    size: ({ rootSlot }) => rootSlot,
    mend: 'raise `stick.rootSlot`, or leave out packages of `host.packages`',
  },
  {
    name: 'root-b',
    payload: null,
    holds: ['squashfs', 'zeros'],
    type: rootType,
    size: ({ rootSlot }) => rootSlot,
    mend: '',
  },
  {
    name: 'settings',
    payload: 'settings',
    holds: ['fat'],
    type: () => PARTITION_TYPE.basicData,
    size: ({ settings }) => settings,
    mend: 'report this: the settings should always fit',
  },
  {
    name: 'library',
    payload: 'library',
    holds: ['erofs'],
    type: () => PARTITION_TYPE.library,
    size: libraryBytes,
    mend: 'raise `stick.library`, or leave its size out',
  },
] as const satisfies readonly PartitionRow[]

export type PartitionName = (typeof PARTITIONS)[number]['name'] | 'data'

/** No image has it: the stick's first boot makes it, behind the last of the others. */
const DATA = { number: PARTITIONS.length + 1, name: 'data' } as const

/** The number of a partition. */
export function partitionNumber(name: PartitionName): number {
  return name === DATA.name ? DATA.number : PARTITIONS.findIndex((row) => row.name === name) + 1
}

/** The row of a partition that was found on a disk; undefined for one that is not of ours, and for data. */
export function partitionRow(name: string): PartitionRow | undefined {
  return PARTITIONS.find((row) => row.name === name)
}

/** Room for a later library: a fixed size, or what it holds now and some percent more. */
function libraryBytes(stick: StickPlan, content: Bytes): Bytes {
  if ('size' in stick.library) return stick.library.size
  return Math.ceil((content * (100 + stick.library.headroomPercent)) / 100)
}

/** The numbers for the initrd, as assignments of sh(1): `ROOT_A=3`. */
export function partitionNumbers(): string {
  const names: PartitionName[] = [...PARTITIONS.map(({ name }) => name), DATA.name]
  return names.map((name) => `${name.toUpperCase().replace('-', '_')}=${partitionNumber(name)}\n`).join('')
}
