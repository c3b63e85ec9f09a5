/**
 * How GRUB starts the host. `grub.cfg` is the same on every stick and for every host; what belongs to one host stands
 * beside its kernel, in the `boot.cfg` of its slot: an update writes a folder, and nothing that the other slot needs.
 *
 * GRUB tells the kernel which stick it came from by the GUID of the partition that it was loaded from; it never
 * searches by UUID or label, since another copy of the stick may be in the PC.
 */
import type { HashTree } from '../disk/hash-tree.js'
import type { HostSlot } from './partitions.js'

/** Files of a slot, as paths on the ESP. */
export function slotFiles(slot: HostSlot): Record<'kernel' | 'initrd' | 'config', string> {
  return { kernel: `${slot}/vmlinuz`, initrd: `${slot}/initrd.img`, config: `${slot}/boot.cfg` }
}

/** Whatever the host and whatever the stick. */
const CONSTANT_ARGUMENTS = [
  'boot=keyvisor',
  // Nothing of the PC's own disks is mounted or swapped on because of its partition type.
  'systemd.gpt_auto=no',
  'systemd.swap=no',
]

/** Seconds in which a person can press a key and see the menu. */
const TIMEOUT = 1

/**
 * grub.cfg. Which slot starts, GRUB's environment block says; where that has no host, slot a starts. GRUB splits
 * `$arguments` at its spaces (GRUB manual, section "Quoting").
 */
export const GRUB_CONFIG = `set timeout_style=hidden
set timeout=${TIMEOUT}
set default=0
if serial --unit=0 --speed=115200; then
  terminal_output console serial
fi
probe --set=esp --part-uuid $root
set slot=a
load_env slot
if [ ! -f /$slot/boot.cfg ]; then
  set slot=a
fi
source /$slot/boot.cfg
menuentry "$title" {
${start(['quiet', 'loglevel=4'])}
}
menuentry "$title (with every message of the start)" {
${start(['systemd.show_status=1', 'loglevel=7'])}
}
`

function start(more: readonly string[]): string {
  const words = [...CONSTANT_ARGUMENTS, 'keyvisor.slot=$slot', 'keyvisor.esp=$esp', '$arguments', ...more]
  return [
    '  echo "$announcement"',
    `  linux /$slot/vmlinuz ${words.join(' ')}`,
    '  initrd /$slot/initrd.img',
  ].join('\n')
}

export interface SlotConfig {
  title: string
  /** Said on the screen and the serial console before the kernel is read, which takes seconds. */
  announcement: string
  root: HashTree
  library: HashTree
  kernelArguments: readonly string[]
}

/** The boot.cfg of a slot. */
export function slotConfig({ title, announcement, root, library, kernelArguments }: SlotConfig): string {
  const words = [
    `keyvisor.root=${root.rootHash},${root.offset}`,
    `keyvisor.library=${library.rootHash},${library.offset}`,
    ...kernelArguments,
  ]
  return [
    `set title='${title.replace(/[^\w .-]/g, '')}'`,
    `set announcement='${announcement.replace(/[^\w .:-]/g, '')}'`,
    `set arguments='${words.join(' ')}'`,
    '',
  ].join('\n')
}
