/**
 * The options that `run` and `test` share: what PC the stick is put into.
 */
import { type Command, InvalidArgumentError, Option } from 'commander'
import { type Bytes, type Firmware, parseBytes } from '../index.js'

export interface PcOptions {
  firmware?: Firmware
  memory: Bytes
  cpus?: number
  stickSize?: Bytes
  /** False: the stick's guests have no KVM there. */
  virtualization: boolean
}

const MOST_CPUS = 255 // of QEMU's q35 without an IOMMU

export function addPcOptions(command: Command): Command {
  const firmware = new Option('--firmware <kind>', 'what starts the stick (default: bios, where it can)')
  return command
    .addOption(firmware.choices(['bios', 'uefi', 'secureboot']))
    .addOption(sizeOption('--memory <size>', 'memory of the PC').default(parseBytes('3GiB'), '3GiB'))
    .addOption(
      new Option('--cpus <n>', 'CPUs of the PC (default: 2; 1 where it is emulated)').argParser(parseCount),
    )
    .addOption(sizeOption('--stick-size <size>', 'size of the stick (default: 8GiB, or more where needed)'))
    .option('--no-virtualization', 'a PC without VT-x or SVM: the guests on the stick are emulated')
}

function sizeOption(flags: string, description: string): Option {
  return new Option(flags, description).argParser((text: string) => {
    const bytes = parseBytes(text)
    if (bytes) return bytes
    throw new InvalidArgumentError('Write a size as 512MiB or 4GiB.')
  })
}

/** A number of CPUs, or of PCs at a time. */
export function parseCount(text: string): number {
  const count = Number(text)
  if (/^[0-9]+$/.test(text) && count >= 1 && count <= MOST_CPUS) return count
  throw new InvalidArgumentError(`Give a number from 1 to ${MOST_CPUS}.`)
}
