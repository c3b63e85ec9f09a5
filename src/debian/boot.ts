/**
 * Debian's boot chain on an ESP: shim and GRUB, both signed, and the GRUB core image for BIOS.
 *
 * One grub.cfg serves all firmwares: the signed GRUB and the BIOS core image both look for it on the partition
 * that they were loaded from, at `/EFI/debian`. The loaders come from the tools tree. Left out: fbx64.efi, which
 * would write boot entries into the PC.
 */
import { writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { ToolRunner } from '../base/tool.js'
import type { Bytes } from '../base/units.js'
import { type FatFile, writeFat } from '../disk/fat.js'
import type { Firmware } from '../stick/definition.js'

/** Partition number of the ESP in every layout of ours: GRUB's BIOS core image has it built in. */
const ESP_NUMBER = 2

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

const GRUB = '/usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed'

/** What UEFI loads: shim, which Microsoft signed, and by it GRUB. */
const SIGNED_LOADERS: FatFile[] = [
  { path: 'EFI/BOOT/BOOTX64.EFI', source: '/usr/lib/shim/shimx64.efi.signed' },
  { path: 'EFI/BOOT/mmx64.efi', source: '/usr/lib/shim/mmx64.efi.signed' },
  { path: 'EFI/BOOT/grubx64.efi', source: GRUB },
]

/** Without shim no Secure Boot takes it: no PC has Debian's own key. */
const UNSIGNED_LOADER: FatFile[] = [{ path: 'EFI/BOOT/BOOTX64.EFI', source: GRUB }]

function loaders(firmware: readonly Firmware[]): FatFile[] {
  if (firmware.includes('secureboot')) return SIGNED_LOADERS
  return firmware.includes('uefi') ? UNSIGNED_LOADER : []
}

export interface EspRequest {
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
    ...loaders(request.firmware),
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

/**
 * Makes the BIOS boot images in `folder`; the block list is patched in when the image's layout is known.
 *
 * @param serial whether its menu is on the serial port too. Where that is, GRUB looks for serial cards first, in every
 *   slot of 256 buses: 16,000 exits for a guest (grub-core/term/pci/serial.c)
 */
export async function makeBiosLoader(
  folder: string,
  tools: ToolRunner,
  { serial = false } = {},
): Promise<BiosLoader> {
  const core = join(folder, 'core.img')
  const boot = join(folder, 'boot.img')
  const prefix = `(,gpt${ESP_NUMBER})/EFI/debian`
  await tools.run({
    tool: 'grub-mkimage',
    args: ['-O', 'i386-pc', '-o', core, '-p', prefix, ...CORE_MODULES, ...(serial ? ['serial'] : [])],
  })
  await tools.run({ tool: 'cp', args: ['/usr/lib/grub/i386-pc/boot.img', boot] })
  return { boot, core }
}
