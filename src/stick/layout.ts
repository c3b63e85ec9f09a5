/**
 * Layout: which sectors of the stick each payload gets, and the GUIDs. A pure function of (Plan, Payloads).
 *
 * Left out: writing anything, and the data partition, which first boot makes behind the library.
 *
 * Kernel command lines carry the root hash and the ESP carries the command lines, so the ESP is packed after root
 * and library. GUIDs derive from all payloads and appear in none of them (GRUB finds its partitions by number on
 * the disk that it was loaded from), so there is no circle.
 */
import { derivedUuid, type Sha256 } from '../base/digests.js'
import { KeyvisorError } from '../base/errors.js'
import { alignUp, type Bytes, formatBytes, type Lba, SECTOR } from '../base/units.js'
import { BACKUP_SECTORS } from '../disk/gpt.js'
import type { StickPlan } from './definition.js'
import { PARTITIONS, type PayloadName, partitionNumber, partitionRow } from './partitions.js'

export interface LayoutPartition {
  /** From 1, as in the GPT. */
  number: number
  name: string
  /** Partition type GUID, lower case. */
  type: string
  /** Unique partition GUID, lower case; empty in an estimate. */
  guid: string
  first: Lba
  /** Inclusive, as the GPT has it. */
  last: Lba
  payload: PayloadName | null
  /** What the payload fills. */
  used: Bytes
}

export interface Layout {
  /** Drawn before a build, from estimates: sizes and LBAs may still move, and there are no GUIDs. */
  estimated: boolean
  /** Empty in an estimate. */
  diskGuid: string
  /** Of the whole image, the backup GPT included. */
  sectors: number
  partitions: LayoutPartition[]
  /** The partition that first boot makes, from `first` to the end of the stick; null where it is made already. */
  data: { number: number; name: string; first: Lba; minimum: Bytes } | null
  smallestStick: Bytes
}

/** What the layout needs to know of the payloads. */
export type Payloads = Record<PayloadName, LaidPayload>

export interface LaidPayload {
  /** Of its bytes; of the library its root hash, which covers them. */
  digest: Sha256
  size: Bytes
}

/** Where the bios-boot partition begins: known from the Plan alone, since the core image must carry it. */
export function biosBootFirst(stick: StickPlan): Lba {
  return stick.alignment / SECTOR
}

/**
 * The exact layout of an image. Throws KeyvisorError `bios-boot-too-large`, `esp-too-large`, `root-too-large`,
 * `library-too-large` or `stick-too-small`.
 */
export function layoutStick(stick: StickPlan, name: string, payloads: Payloads): Layout {
  const digests = PARTITIONS.flatMap(({ payload }) => (payload ? [payloads[payload].digest] : []))
  const diskGuid = derivedUuid('disk', name, ...digests)
  const layout = arrange(stick, sizesOf(payloads))
  checkFits(layout, stick)
  const partitions = layout.partitions.map((partition) => ({
    ...partition,
    guid: derivedUuid('partition', diskGuid, partition.name),
  }))
  return { ...layout, diskGuid, partitions }
}

/**
 * What the layout will be about, before there are payloads. Never throws: {@link checkFits} tells whether the
 * estimate fits.
 */
export function estimateLayout(stick: StickPlan, estimates: Record<PayloadName, Bytes>): Layout {
  return { ...arrange(stick, estimates), estimated: true }
}

/** Throws when a payload is larger than its partition, or the image than the smallest stick it must fit. */
export function checkFits(layout: Layout, stick: StickPlan): void {
  for (const partition of layout.partitions) {
    if (partition.payload && partition.used > partitionBytes(partition)) throw tooLarge(partition)
  }
  if (layout.smallestStick > stick.minimumSize) throw stickTooSmall(layout, stick)
}

export function partitionBytes(partition: Pick<LayoutPartition, 'first' | 'last'>): Bytes {
  return (partition.last - partition.first + 1) * SECTOR
}

function sizesOf(payloads: Payloads): Record<PayloadName, Bytes> {
  return {
    biosBoot: payloads.biosBoot.size,
    esp: payloads.esp.size,
    root: payloads.root.size,
    settings: payloads.settings.size,
    library: payloads.library.size,
  }
}

/** The partitions one behind the other, each from one multiple of the alignment to another. */
function arrange(stick: StickPlan, used: Record<PayloadName, Bytes>): Layout {
  const { alignment } = stick
  let end: Bytes = biosBootFirst(stick) * SECTOR
  const partitions = PARTITIONS.map((row): LayoutPartition => {
    const first = end / SECTOR
    end += Math.max(alignUp(row.size(stick, used.library), alignment), alignment)
    const last = end / SECTOR - 1
    if ('freeBehind' in row) end += alignUp(row.freeBehind(stick), alignment)
    return {
      number: partitionNumber(row.name),
      name: row.name,
      type: row.type(stick),
      guid: '',
      first,
      last,
      payload: row.payload,
      used: row.payload ? used[row.payload] : 0,
    }
  })
  const data = dataBehind(end / SECTOR - 1, stick.dataMinimum, alignment)
  return {
    estimated: false,
    diskGuid: '',
    sectors: diskBytes(end, alignment) / SECTOR,
    partitions,
    data,
    smallestStick: smallestStick(data, alignment),
  }
}

/** The data partition that first boot makes, right behind the library that ends at `last`. */
export function dataBehind(last: Lba, minimum: Bytes, alignment: Bytes): NonNullable<Layout['data']> {
  const first = alignUp((last + 1) * SECTOR, alignment) / SECTOR
  return { number: partitionNumber('data'), name: 'data', first, minimum }
}

/** The smallest stick that has room for such a data partition. */
export function smallestStick({ first, minimum }: NonNullable<Layout['data']>, alignment: Bytes): Bytes {
  return diskBytes(first * SECTOR + alignUp(minimum, alignment), alignment)
}

/** A whole disk whose last partition ends at `end`: the backup GPT behind it, and a round size. */
function diskBytes(end: Bytes, alignment: Bytes): Bytes {
  return alignUp(end + BACKUP_SECTORS * SECTOR, alignment)
}

function tooLarge(partition: LayoutPartition): KeyvisorError {
  const payload = partition.payload as PayloadName
  const name = payload === 'biosBoot' ? 'bios-boot' : payload
  const room = partitionBytes(partition)
  return new KeyvisorError(
    `${name}-too-large`,
    `the ${name} payload of ${exactly(partition.used)} is larger than its partition ${partition.name} of ${exactly(room)}`,
    { hint: partitionRow(partition.name)?.mend ?? '' },
  )
}

function stickTooSmall(layout: Layout, stick: StickPlan): KeyvisorError {
  const image = formatBytes(layout.sectors * SECTOR)
  return new KeyvisorError(
    'stick-too-small',
    `the image of ${image} and its data partition of at least ${formatBytes(stick.dataMinimum)} need a stick of ` +
      `${exactly(layout.smallestStick)}; \`stick.minimumSize\` is ${exactly(stick.minimumSize)}`,
    { hint: 'raise `stick.minimumSize`, or leave out guests' },
  )
}

/** Two sizes that differ must not look alike: `300MiB (314572801 bytes)`. */
function exactly(bytes: Bytes): string {
  return `${formatBytes(bytes)} (${bytes} bytes)`
}
