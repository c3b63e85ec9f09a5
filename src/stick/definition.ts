/**
 * What a stick is, before and after its bytes exist.
 *
 * Types only.
 */
import type { ArchitectureName, Firmware } from '../arch/architecture.js'
import type { Bytes } from '../base/units.js'

/** Sizes of the stick's partitions, as far as they can be known before bytes exist. */
export interface StickPlan {
  /** Of the PCs that it is for. */
  architecture: ArchitectureName
  firmware: Firmware[]
  /** The smallest stick that the image must fit, its data partition included. */
  minimumSize: Bytes
  /** Where partitions begin and end. */
  alignment: Bytes
  biosBoot: Bytes
  esp: Bytes
  /** Left free behind the ESP: room for a second one, so that boot loaders can be renewed without a moment that does not boot. */
  secondEsp: Bytes
  /** Size of root-a and of root-b, verity tree included. */
  rootSlot: Bytes
  settings: Bytes
  /** Fixed size of the library, or its headroom in percent of what it holds. */
  library: { size: Bytes } | { headroomPercent: number }
  /** What the data partition needs at least on the smallest stick. */
  dataMinimum: Bytes
}
