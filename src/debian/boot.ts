/**
 * Debian's boot chain on an ESP: shim and GRUB, both signed, and the GRUB core image for BIOS.
 *
 * One grub.cfg serves all firmwares: the signed GRUB and the BIOS core image both look for it on the partition
 * that they were loaded from, at `/EFI/debian`. The loaders come from the tools tree. Left out: fbx64.efi, which
 * would write boot entries into the PC.
 */
import { dirname, join } from 'node:path'
import {
  ARCHITECTURES,
  type Architecture,
  type ArchitectureName,
  type Firmware,
} from '../arch/architecture.js'
import type { ToolRunner } from '../base/tool.js'
import type { Bytes } from '../base/units.js'
import { writeFile } from '../base/write-file.js'
import { type FatFile, writeFat } from '../disk/fat.js'

/** What grub.cfg needs under BIOS; the signed GRUB has these built in. */
const CORE_MODULES = [
  'biosdisk',
  'part_gpt',
  'fat',
  'ext2',
  'normal',
  'linux',
  'search',
  'search_fs_uuid',
  'probe',
  'regexp',
  'configfile',
  'echo',
  'test',
  'true',
  'loadenv',
  'terminal',
  'minicmd',
  'reboot',
  'halt',
]

/** What UEFI loads: shim, which Microsoft signed, and by it GRUB. */
function signedLoaders({ name, shim, mokManager, grub }: Architecture['loaders']): FatFile[] {
  return [
    { path: `EFI/BOOT/${name}`, source: shim },
    { path: `EFI/BOOT/${mokManager.name}`, source: mokManager.path },
    { path: `EFI/BOOT/${grub.name}`, source: grub.path },
  ]
}

function loaders({ firmware, architecture }: EspRequest): FatFile[] {
  const { loaders: files } = ARCHITECTURES[architecture]
  if (firmware.includes('secureboot')) return signedLoaders(files)

  // Without shim no Secure Boot takes it: no PC has Debian's own key.
  return firmware.includes('uefi') ? [{ path: `EFI/BOOT/${files.name}`, source: files.grub.path }] : []
}

export interface EspRequest {
  architecture: ArchitectureName
  label: string
  serial: string
  size: Bytes
  epoch: number
  /** Kinds of firmware that may start from it; those of UEFI find their loaders here. */
  firmware: readonly Firmware[]
  grubConfig: string
  /** Kernels, initrds and whatever else lies on the partition. */
  files: FatFile[]
}

/** Writes an ESP to `image`; scratch files stand beside it. */
export async function writeEsp(request: EspRequest, image: string, tools: ToolRunner): Promise<void> {
  const config = join(dirname(image), 'grub.cfg')
  const environment = join(dirname(image), 'grubenv')
  await writeFile(config, request.grubConfig)
  await writeFile(environment, emptyEnvironment())
  const files = [
    ...loaders(request),
    { path: 'EFI/debian/grub.cfg', source: config },
    { path: 'EFI/debian/grubenv', source: environment },
    ...request.files,
  ]
  await writeFat({ ...request, files }, image, tools)
}

/** GRUB's environment block: exactly 1024 bytes, padded with `#` (GRUB manual, section 15.2). */
function emptyEnvironment(): string {
  return '# GRUB Environment Block\n'.padEnd(1024, '#')
}

export interface BiosLoader {
  /** boot.img, 512 bytes of which 440 are code for the MBR. */
  boot: string
  /** The core image, which goes to the bios-boot partition. */
  core: string
}

export interface LoaderRequest {
  architecture: ArchitectureName
  /** Partition number of the ESP: GRUB's BIOS core image has it built in. */
  esp: number
  /**
   * Whether its menu is on the serial port too. Where that is, GRUB looks for serial cards first, in every slot of 256
   * buses: 16,000 exits for a guest (grub-core/term/pci/serial.c).
   */
  serial: boolean
}

/** Makes the BIOS boot images in `folder`; the block list is patched in when the image's layout is known. */
export async function makeBiosLoader(
  folder: string,
  tools: ToolRunner,
  { architecture, esp, serial }: LoaderRequest,
): Promise<BiosLoader> {
  const { bios } = ARCHITECTURES[architecture].grub
  if (!bios) throw new Error(`BUG: PCs of ${architecture} have no BIOS`)
  const core = join(folder, 'core.img')
  const boot = join(folder, 'boot.img')
  const modules = [...CORE_MODULES, ...(serial ? ['serial'] : [])]
  const prefix = `(,gpt${esp})/EFI/debian`
  const args = ['-O', bios.format, '-o', core, '-p', prefix, ...modules]
  await tools.run({ tool: 'grub-mkimage', args })
  await tools.run({ tool: 'cp', args: [bios.boot, boot] })
  return { boot, core }
}
