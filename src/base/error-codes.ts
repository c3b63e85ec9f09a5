/**
 * Error codes: the stable name of everything that can go wrong beside a profile's own problems (`codes.ts`), what it
 * means, and what to do. `docs/errors.md` is made from it; a test holds it against what the sources throw.
 *
 * Free of imports, since `scripts/generate.js` reads this file by itself.
 */

interface ErrorMeaning {
  meaning: string
  /** What the reader can do. */
  mend: string
}

const DISK = "Look into the kernel's log (`dmesg`), or use a folder on another disk."
const REPORT = 'Please report it, with the whole output.'
const DAMAGED = 'Compare its size and checksum with those it was published with, or build it again.'

export const ERROR_CODES = {
  // The command line.
  usage: {
    meaning: 'The command line has an unknown, missing or contradicting word.',
    mend: 'See `keyvisor help VERB`.',
  },
  bug: { meaning: 'Keyvisor did something that it never should. Exit code 70.', mend: REPORT },
  interrupted: {
    meaning: 'Somebody ended the program, with Ctrl-C for one.',
    mend: 'Start it again: a build goes on from there.',
  },
  'file-exists': { meaning: 'The file is there, and `init` overwrites none.', mend: 'Name another.' },
  'cannot-write': {
    meaning: 'The file cannot be written.',
    mend: 'Name another place, or change who may write there.',
  },
  'no-folder': { meaning: 'The current folder was deleted.', mend: 'Change into another.' },

  // Profiles and lists of PCs.
  'invalid-profile': {
    meaning: 'The profile has problems, which are listed with line and column. Exit code 2.',
    mend: 'Correct them: [profile.md](profile.md#codes) has each code.',
  },
  'invalid-machines': {
    meaning: 'The list of PCs has problems, which are listed with line and column. Exit code 2.',
    mend: 'Correct them: see [machines.md](machines.md).',
  },
  'unknown-machine': {
    meaning: 'The list has no PC of that name.',
    mend: 'Name one of those that are listed.',
  },

  // Locks.
  'lock-missing': {
    meaning: 'There is no lock, and none may be made: `--locked` or `--offline` was given.',
    mend: 'Run `keyvisor lock` where there is a network, and keep the lock beside the profile.',
  },
  'lock-unfit': {
    meaning: 'The lock was made for another profile, and may not be renewed.',
    mend: 'Run `keyvisor lock`, or build without `--locked`.',
  },
  'lock-damaged': {
    meaning: 'The lock is no lock that can be read.',
    mend: 'Restore it, or remove it and lock again.',
  },
  'lock-newer': {
    meaning: 'A later Keyvisor wrote the lock.',
    mend: 'Use that Keyvisor, or lock again with this one.',
  },
  'lock-unreadable': { meaning: 'The lock cannot be opened or read.', mend: 'Change who may read it.' },
  'lock-unwritable': { meaning: 'The lock cannot be written.', mend: 'Name another place with `--lock`.' },
  'image-changed': {
    meaning: 'An image is not the one that was locked.',
    mend: 'Take the change with `keyvisor lock` or `--update`, or restore the image.',
  },

  // Packages.
  'mirror-unreachable': {
    meaning: 'The package index cannot be fetched.',
    mend: 'Look at the network, and at `host.mirror` of the profile.',
  },
  'package-unknown': {
    meaning: 'Debian has no package of that name in this suite.',
    mend: 'Correct the name.',
  },
  'package-gone': {
    meaning: 'No archive has a locked version any more.',
    mend: 'Lock again with `--update`.',
  },
  'packages-missing': {
    meaning: 'Packages are not in the store, and the network may not be used.',
    mend: 'Build once without `--offline`.',
  },
  'digest-mismatch': {
    meaning: 'Bytes that were fetched are not those that the lock names.',
    mend: 'Try again; if it stays so, look at what is between you and the mirror.',
  },

  // Images and disks that come from outside.
  'file-missing': {
    meaning: 'An image of a guest cannot be opened.',
    mend: 'Correct the path, or make it readable.',
  },
  'file-too-large': {
    meaning: 'A file is larger than what it should be can be.',
    mend: 'Name the right file.',
  },
  'image-damaged': { meaning: 'The image is damaged or cut off.', mend: DAMAGED },
  'image-unchecked': {
    meaning: 'qemu-img could not check the image, which says nothing about it.',
    mend: 'Read its last line, which is shown.',
  },
  'image-unreadable': { meaning: 'The image cannot be opened or read.', mend: DISK },
  'not-an-image': {
    meaning: 'What was named is no disk image.',
    mend: 'Name an image that `keyvisor build` wrote.',
  },
  'not-a-stick': {
    meaning:
      'The disk image has no manifest that this Keyvisor reads: it is another one, or of another version.',
    mend: 'Build it again with this Keyvisor.',
  },
  'not-a-manifest': {
    meaning: 'The file is no manifest.',
    mend: 'Name a `NAME.manifest.json` that `build` wrote.',
  },
  'manifest-unusable': {
    meaning: 'The earlier manifest cannot be compared with: it is missing, damaged or of another version.',
    mend: 'Name a `NAME.manifest.json` that this Keyvisor wrote.',
  },
  'no-gpt': { meaning: 'There is no GUID partition table in this place.', mend: DAMAGED },
  'gpt-damaged': { meaning: 'A copy of the partition table is damaged.', mend: DAMAGED },
  'no-mbr': { meaning: 'The first sector is no MBR.', mend: DAMAGED },
  'fat-damaged': { meaning: 'A FAT file system is damaged, or not FAT32.', mend: DAMAGED },
  'squashfs-damaged': { meaning: "The host's root is damaged.", mend: DAMAGED },
  'library-damaged': { meaning: "The guests' library cannot be read whole.", mend: DAMAGED },
  'bmap-damaged': { meaning: 'A block map is not as Keyvisor writes one.', mend: DAMAGED },
  truncated: { meaning: 'A structure on disk is cut off.', mend: DAMAGED },

  // Builds.
  'bios-boot-too-large': { meaning: 'The boot loader is larger than its partition.', mend: REPORT },
  'esp-too-large': {
    meaning: 'Kernel, initrd and boot loaders are larger than the boot partition.',
    mend: 'Raise `stick.esp`, or leave it out.',
  },
  'root-too-large': {
    meaning: "The host's root is larger than its slot.",
    mend: 'Raise `stick.rootSlot`, or leave out packages of `host.packages`.',
  },
  'settings-too-large': { meaning: 'The settings are larger than their partition.', mend: REPORT },
  'library-too-large': {
    meaning: "The guests' images are larger than the library.",
    mend: 'Raise `stick.library`, or leave it out.',
  },
  'stick-too-small': {
    meaning: 'The image and the least data partition need a larger stick.',
    mend: 'Raise `stick.minimumSize`, or leave out guests; of a trial, choose a larger `--stick-size`.',
  },
  'guest-disk-full': {
    meaning: 'Packages and files of a guest do not fit its disk.',
    mend: 'Raise `source.debian.size` of the guest.',
  },
  'disk-smaller-than-base': {
    meaning: "A guest's disk is smaller than its base image.",
    mend: 'Make it larger, or leave its size out.',
  },
  'fat-full': { meaning: 'Files do not fit a FAT file system.', mend: 'Raise `stick.esp`.' },
  'not-grub': { meaning: "GRUB's images are not as they should be.", mend: REPORT },
  'not-reproducible': {
    meaning: 'A second build has other bytes than the first.',
    mend: 'Remove the image and build again; if it stays so, report it with both manifests.',
  },
  'not-signed': {
    meaning: 'minisign does not sign with this key.',
    mend: 'Look at its password and at the key.',
  },
  'key-unusable': {
    meaning: 'A key for signing, or its password, cannot be read.',
    mend: 'Correct the path.',
  },
  'out-unusable': {
    meaning: 'The folder of the image is none, or cannot be written.',
    mend: 'Choose another with `--out`.',
  },

  // The store and this machine.
  'store-unusable': {
    meaning: 'The store cannot be made or written.',
    mend: 'Set `KEYVISOR_STORE` to a folder of yours.',
  },
  'no-home': {
    meaning: 'Nothing says where the store is: there is neither a home nor `KEYVISOR_STORE`.',
    mend: 'Set `KEYVISOR_STORE` to an absolute path.',
  },
  'bad-store-limit': { meaning: '`KEYVISOR_STORE_LIMIT` is not a size.', mend: 'Write it as `20GiB`.' },
  'no-space': {
    meaning: "A disk is full, or this user's share of it.",
    mend: 'Make room: `keyvisor store prune --help`.',
  },
  'disk-failed': { meaning: 'A disk failed, or is read-only.', mend: DISK },
  'file-limit': {
    meaning: 'A file gets larger than its file system or `ulimit -f` allows.',
    mend: 'Use another file system than FAT32, and look at the limit.',
  },
  'no-access': { meaning: 'Permission was denied.', mend: 'Change who may, or name another place.' },
  'too-many-files': { meaning: 'Too many files are open.', mend: 'Raise the limit: `ulimit -n 4096`.' },
  'no-such-file': { meaning: 'There is no such file or folder.', mend: 'Correct the path.' },
  'bad-path': { meaning: 'A path leads to something else than it should.', mend: 'Correct the path.' },
  'file-failed': {
    meaning: 'A call of the file system failed in a way that has no words here.',
    mend: REPORT,
  },
  'not-a-file': { meaning: 'What was named is a folder, a pipe or a device.', mend: 'Name a regular file.' },
  'namespace-refused': {
    meaning: 'This machine does not let this user make namespaces.',
    mend: 'Build as root, or give the user subordinate ids and the AppArmor profile that is shown.',
  },
  'cannot-bind': {
    meaning: 'A path cannot be shown to tools, whose sandbox has its own there.',
    mend: 'Use a folder of your own, such as one in your home.',
  },

  // Tools.
  'tool-missing': {
    meaning: 'A program that is needed is not on this machine.',
    mend: 'Install what is named.',
  },
  'tool-unstarted': {
    meaning: 'A program could not be started, which says nothing about what it was asked.',
    mend: 'Look at memory, processes (`ulimit -u`) and open files of this machine.',
  },
  'tool-failed': {
    meaning: 'A program ended with an error, whose last words are shown.',
    mend: 'Read them.',
  },
  'tool-killed': {
    meaning: 'A program was ended by a signal.',
    mend: "Look into the kernel's log: memory may be short.",
  },
  'tool-timeout': {
    meaning: 'A program did not end in time.',
    mend: 'Try again when this machine has less to do.',
  },

  // Trials: run, test and walks.
  'bad-memory': {
    meaning: 'The PC has less memory than the host needs.',
    mend: 'Give it more with `--memory`.',
  },
  'other-image': {
    meaning: 'The file holds the changes to another image.',
    mend: 'Name another file with `--keep`, or remove this one.',
  },
  'other-stick-size': { meaning: 'The kept stick has another size.', mend: 'Leave out `--stick-size`.' },
  'overlay-in-use': { meaning: 'Another trial uses the kept stick.', mend: 'End that one first.' },
  'no-port': { meaning: 'No TCP port of the loopback address is free.', mend: 'End something that listens.' },
  'qemu-too-old': {
    meaning: "The machine's QEMU is too old for what was asked.",
    mend: 'Let Keyvisor use its own tools.',
  },
  'qemu-silent': {
    meaning: 'QEMU started, and its monitor does not answer.',
    mend: 'Try again when this machine has less to do.',
  },
  'qemu-broke': {
    meaning: 'QEMU broke down, which says nothing about the stick.',
    mend: 'Try again, or with `--no-virtualization`.',
  },
} as const satisfies Record<string, ErrorMeaning>
