/**
 * grub.cfg of the stick: which kernel starts, with what arguments.
 *
 * GRUB tells the kernel which stick it came from by the GUID of the partition that it was loaded from; it never
 * searches by UUID or label, since another copy of the stick may be in the PC.
 */
import type { HashTree } from '../disk/hash-tree.js'

export interface BootEntry {
  title: string
  /** Said on the screen and the serial console before the kernel is read, which takes seconds. */
  announcement: string
  slot: 'a' | 'b'
  root: HashTree
  library: HashTree
  kernelArguments: readonly string[]
}

/** Seconds in which a person can press a key and see the menu. */
const TIMEOUT = 1

export function grubConfig(entry: BootEntry): string {
  const { slot, root, library, kernelArguments } = entry
  const title = entry.title.replace(/[^\w .-]/g, '')
  const words = [
    'boot=keyvisor',
    // Nothing of the PC's own disks is mounted or swapped on because of its partition type.
    'systemd.gpt_auto=no',
    'systemd.swap=no',
    `keyvisor.slot=${slot}`,
    'keyvisor.esp=$esp',
    `keyvisor.root=${root.rootHash},${root.offset}`,
    `keyvisor.library=${library.rootHash},${library.offset}`,
    ...kernelArguments,
  ]
  const start = (more: string[]) =>
    [
      `  echo '${entry.announcement.replace(/[^\w .:-]/g, '')}'`,
      `  linux /${slot}/vmlinuz ${[...words, ...more].join(' ')}`,
      `  initrd /${slot}/initrd.img`,
    ].join('\n')
  return `set timeout_style=hidden
set timeout=${TIMEOUT}
set default=0
if serial --unit=0 --speed=115200; then
  terminal_output console serial
fi
probe --set=esp --part-uuid $root
menuentry '${title}' {
${start(['quiet', 'loglevel=4'])}
}
menuentry '${title} (with every message of the start)' {
${start(['systemd.show_status=1', 'loglevel=7'])}
}
`
}
