/**
 * The Debian packages that every host has, each with its reason. Recommends are not followed, so what libvirt
 * only recommends is named here. Their dependencies come with them.
 *
 * Left out: firmware for PC hardware, which is in another component of the archive (firmware.ts).
 */
import { ARCHITECTURES, USUAL_ARCHITECTURE } from '../arch/architecture.js'

const HERE = ARCHITECTURES[USUAL_ARCHITECTURE]

/** Sorted where they are used, grouped here by why they are needed. */
export const HOST_PACKAGES: readonly string[] = [
  // A system that starts. The initrd (busybox, cryptsetup-bin, fdisk, e2fsprogs) finds the stick and mounts what is
  // on it; dmsetup tells whether verity found damage.
  'systemd',
  'systemd-sysv',
  'systemd-resolved',
  'dbus',
  'udev',
  'kmod',
  HERE.kernels.package,
  'initramfs-tools',
  'busybox',
  'cryptsetup-bin',
  'dmsetup',
  'fdisk',
  'e2fsprogs',
  'zstd',
  // Guests. Without apparmor and dmidecode libvirt quietly does without confinement and the host's SMBIOS.
  'libvirt-daemon-system',
  'libvirt-daemon-driver-qemu',
  'libvirt-clients',
  HERE.qemu.package,
  'qemu-utils',
  'ovmf',
  'swtpm',
  'swtpm-tools',
  'apparmor',
  'dmidecode',
  'dnsmasq-base',
  'nftables',
  // What starts them (`aboard/`).
  'quickjs',
  // A person who logs in. libcap2-bin gives ping its capability.
  'openssh-server',
  'sudo',
  'login',
  'less',
  'nano',
  'iproute2',
  'iputils-ping',
  'libcap2-bin',
]

/**
 * What joins Wi-Fi networks. iwd would be 1.8 MB smaller (unpacked), and knows drivers of the newer interface only. The
 * kernel allows few channels without the database of countries' rules.
 */
export const WIFI_PACKAGES = ['wpasupplicant', 'wireless-regdb'] as const

/** What a host needs for settings other than the default ones, by setting. */
export const SETTING_PACKAGES = {
  locale: { usual: 'C.UTF-8', packages: ['locales'] },
  keyboard: { usual: 'us', packages: ['console-setup', 'keyboard-configuration'] },
  timezone: { usual: 'UTC', packages: ['tzdata'] },
} as const

/** What a host needs whose guests have shared folders. */
export const SHARE_PACKAGES: readonly string[] = ['virtiofsd']
