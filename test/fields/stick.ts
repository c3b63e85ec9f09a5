/** Rows of the profile itself and of the stick: its name, its partitions, and what starts it. */
import type { Row } from './row.js'

/** Bytes of a partition, by its name in the GPT. */
const sizeOf = (name: string) => `lsblk -bnro PARTLABEL,SIZE | awk '$1 == "${name}" {print $2}'`

/** Which loaders are on the ESP, and whether the MBR has code. */
const LOADERS = `mdir -/ -b -i "$image@@$esp" :: | sed -n 's|^::/EFI/BOOT/||p' | sort | paste -sd' '`
const BOOT_CODE = `head -c 440 "$image" | tr -d '\\0' | wc -c | sed 's/^[1-9].*/some/'`
const SHIM_AND_GRUB = 'BOOTX64.EFI grubx64.efi mmx64.efi'

export const STICK_ROWS: readonly Row[] = [
  // One version is all there is.
  {
    field: 'version',
    value: 2,
    where: 'validate',
    ask: '',
    expected: 'not-one-of',
    other: '',
  },
  {
    field: 'name',
    value: 'fields-changed',
    where: 'stick',
    ask: `grep -o '"name": *"fields-[a-z]*"' /run/keyvisor/library/guests.json | cut -d'"' -f4`,
    expected: 'fields-changed',
    other: 'fields-usual',
  },
  {
    field: 'stick.firmware',
    value: ['bios'],
    where: 'image',
    ask: LOADERS,
    expected: '',
    other: SHIM_AND_GRUB,
  },
  {
    field: 'stick.firmware',
    value: ['uefi'],
    on: 'fixed',
    where: 'image',
    ask: LOADERS,
    expected: 'BOOTX64.EFI',
    other: SHIM_AND_GRUB,
  },
  {
    field: 'stick.firmware',
    value: ['secureboot'],
    on: 'lean',
    where: 'image',
    ask: BOOT_CODE,
    expected: '0',
    other: 'some',
  },
  {
    field: 'stick.minimumSize',
    value: '8GiB',
    where: 'validate',
    ask: '',
    expected: '',
    other: 'disk-larger-than-stick',
  },
  {
    field: 'stick.minimumMemory',
    value: '8GiB',
    on: 'lean',
    where: 'validate',
    ask: '',
    expected: '',
    other: 'memory-too-small',
  },
  {
    field: 'stick.esp',
    value: '160MiB',
    where: 'stick',
    ask: sizeOf('esp'),
    expected: `${160 * 2 ** 20}`,
    other: `${128 * 2 ** 20}`,
  },
  {
    field: 'stick.rootSlot',
    value: '416MiB',
    where: 'stick',
    ask: sizeOf('root-b'),
    expected: `${416 * 2 ** 20}`,
    other: `${384 * 2 ** 20}`,
  },
  {
    field: 'stick.library',
    value: '1GiB',
    where: 'stick',
    ask: sizeOf('library'),
    expected: `${2 ** 30}`,
    other: /^[1-9][0-9]{7,8}$/,
  },
]
