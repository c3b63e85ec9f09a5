/**
 * The settings partition: FAT, and shown by every PC that the stick is plugged into. For a person: what the stick is, and
 * `last-boot.txt`, which the stick itself writes (`aboard/last-boot.ts`).
 */
import { join } from 'node:path'
import { sha256 } from '../base/digests.js'
import type { Bytes } from '../base/units.js'
import { writeFile } from '../base/write-file.js'
import { writeFat } from '../disk/fat.js'
import type { StageDefinition, StageOutput, Workbench } from '../store/stage.js'

export interface SettingsInputs {
  /** Of the profile. */
  name: string
  size: Bytes
  epoch: number
}

const LABEL = 'KEYVISOR'

export function settingsStage(inputs: SettingsInputs): StageDefinition<SettingsInputs, never> {
  const { size } = inputs
  return {
    name: 'settings',
    title: 'pack the settings partition',
    program: 'host/settings',
    inputs,
    reads: {},
    room: () => ({ scratch: size, result: size, objects: { settings: size } }),
    make: makeSettings,
  }
}

async function makeSettings(
  { scratch, tools }: Workbench,
  { name, size, epoch }: SettingsInputs,
): Promise<StageOutput> {
  const readme = join(scratch, 'README.txt')
  const image = join(scratch, 'settings.fat')
  await writeFile(readme, readmeText(name))
  const files = [{ path: 'README.txt', source: readme }]
  await writeFat(
    { label: LABEL, serial: sha256(`settings ${name}`).slice(0, 8), size, epoch, files },
    image,
    tools,
  )
  return { files: { settings: image } }
}

/** With the line ends that every editor of Windows takes. */
function readmeText(name: string): string {
  const lines = [
    `This is a Keyvisor stick: ${name}`,
    '',
    'It carries a small Debian host and virtual machines. To use it, switch a PC off,',
    'plug the stick in, and start the PC from it (its boot menu is often on F12, F11,',
    "F9 or Esc). The PC's own disks are not touched.",
    '',
    'last-boot.txt  what the stick did when it was started last: on which PC, which',
    '               virtual machines ran, where they answer, and what went wrong',
    '',
    "The other partitions are the stick's own. If this computer offers to format",
    'them, say no: that would erase the virtual machines.',
    '',
  ]
  return lines.join('\r\n')
}
