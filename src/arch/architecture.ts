/**
 * Architectures: what each is called by Debian, QEMU, GRUB and UEFI, one row each. No other file knows such a name.
 *
 * Free of `node:` imports: the stick runs this file under qjs.
 */

/** Kinds of PC firmware. */
export type Firmware = 'bios' | 'uefi' | 'secureboot'

/** Code and template of the variables of a UEFI, as files of Debian's package. */
interface UefiFiles {
  code: string
  variables: string
}

export interface Architecture {
  /** Debian's name (dpkg-architecture(1)). */
  debian: string
  kernels: {
    package: string
    /** Small and quick, for guests; but it is built without USB (CONFIG_USB_SUPPORT). */
    cloud: string
  }
  /** Microcode packages of its processors. */
  microcode: readonly string[]
  qemu: {
    /** Debian's package. */
    package: string
    /** The program that emulates a PC. */
    program: string
    /** Packages of the firmware that its PCs have. */
    firmware: readonly string[]
  }
  /** As libvirt's domains have it (formatdomain.html, "os"). */
  libvirt: string
  /** Files of its UEFI below /, without and with Secure Boot's keys (package `ovmf`, README.Debian). */
  uefi: Record<Exclude<Firmware, 'bios'>, UefiFiles>
  /** UEFI 2.10, section 3.5.1.1: what removable media start, and what that loads, by Debian's path. */
  loaders: {
    name: string
    shim: string
    mokManager: { name: string; path: string }
    grub: { name: string; path: string }
  }
  /** GRUB's packages, and its format for a BIOS; null where PCs have none. */
  grub: { packages: readonly string[]; bios: { format: string; boot: string } | null }
  /** The first serial port of a PC, as Linux names it. */
  serial: string
  /** UAPI Discoverable Partitions Specification, "Root Partition". */
  rootPartition: string
}

const OVMF = '/usr/share/OVMF'

const AMD64: Architecture = {
  debian: 'amd64',
  kernels: { package: 'linux-image-amd64', cloud: 'linux-image-cloud-amd64' },
  microcode: ['amd64-microcode', 'intel-microcode'],
  qemu: {
    package: 'qemu-system-x86',
    program: 'qemu-system-x86_64',
    firmware: ['seabios', 'ovmf'],
  },
  libvirt: 'x86_64',
  uefi: {
    uefi: { code: `${OVMF}/OVMF_CODE_4M.fd`, variables: `${OVMF}/OVMF_VARS_4M.fd` },
    secureboot: { code: `${OVMF}/OVMF_CODE_4M.secboot.fd`, variables: `${OVMF}/OVMF_VARS_4M.ms.fd` },
  },
  loaders: {
    name: 'BOOTX64.EFI',
    shim: '/usr/lib/shim/shimx64.efi.signed',
    mokManager: { name: 'mmx64.efi', path: '/usr/lib/shim/mmx64.efi' },
    grub: { name: 'grubx64.efi', path: '/usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed' },
  },
  grub: {
    packages: ['shim-signed', 'grub-efi-amd64-signed', 'grub-common', 'grub-pc-bin'],
    bios: { format: 'i386-pc', boot: '/usr/lib/grub/i386-pc/boot.img' },
  },
  serial: 'ttyS0',
  rootPartition: '4f68bce3-e8cd-4db1-96e7-fbcaf984b709',
}

export type ArchitectureName = 'amd64'

export const ARCHITECTURES: Readonly<Record<ArchitectureName, Architecture>> = { amd64: AMD64 }

/** The architecture of sticks whose profile names none: all of today's. */
export const USUAL_ARCHITECTURE: ArchitectureName = 'amd64'
