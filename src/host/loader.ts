/**
 * The BIOS boot loader of the stick: GRUB's boot and core image.
 */

import { KiB, MiB } from '../base/units.js'
import { makeBiosLoader } from '../debian/boot.js'
import type { StickPlan } from '../stick/definition.js'
import { partitionNumber } from '../stick/partitions.js'
import type { Room, StageDefinition, StageOutput, Workbench } from '../store/stage.js'

export interface LoaderInputs {
  architecture: StickPlan['architecture']
  /** Partition number of the ESP. */
  esp: number
  /** Whether its menu is on the serial port, too. */
  serial: boolean
}

const ROOM: Room = { scratch: MiB, result: MiB, objects: { core: 186 * KiB } }

export function loaderStage(architecture: StickPlan['architecture']): StageDefinition<LoaderInputs, never> {
  return {
    name: 'loader',
    title: 'make the BIOS boot loader',
    program: 'host/loader',
    inputs: { architecture, esp: partitionNumber('esp'), serial: true },
    reads: {},
    room: () => ROOM,
    make: makeLoader,
  }
}

async function makeLoader({ scratch, tools }: Workbench, inputs: LoaderInputs): Promise<StageOutput> {
  const { boot, core } = await makeBiosLoader(scratch, tools, inputs)
  return { files: { boot, core } }
}
