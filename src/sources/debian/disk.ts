/**
 * A guest from Debian packages: a tree becomes a bootable disk, as a compressed qcow2.
 *
 * The disk is a small copy of the stick's own boot chain (bios-boot, ESP, root), so that it starts under all three
 * firmwares. The kernel lies on the root, where the guest's own updates replace it; the ESP has only the loaders.
 * Left out: login (the user's files bring it), swap.
 */

import { open, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import {
  ARCHITECTURES,
  type Architecture,
  type ArchitectureName,
  type Firmware,
} from '../../arch/architecture.js'
import { derivedUuid } from '../../base/digests.js'
import { KeyvisorError } from '../../base/errors.js'
import { fileError } from '../../base/file-errors.js'
import type { Keyed } from '../../base/keyed.js'
import { packageFile } from '../../base/package.js'
import { shellWords } from '../../base/shell.js'
import type { ToolRunner } from '../../base/tool.js'
import { type Bytes, formatBytes, GiB, MiB, SECTOR } from '../../base/units.js'
import { makeBiosLoader, writeEsp } from '../../debian/boot.js'
import { keyedFiles, type LaidFiles, type TarEntry, writeTar } from '../../debian/files.js'
import { refusalOr, writeLaying } from '../../debian/lay.js'
import { runInNamespace } from '../../debian/script.js'
import { type TreeInputs, treeStage } from '../../debian/tree.js'
import type { PlannedFile } from '../../debian/types.js'
import { type Ext4Request, ext4Arguments } from '../../disk/ext4.js'
import { type GptDisk, writeGptDisk } from '../../disk/gpt-disk.js'
import { patchBootImage, patchCoreImage } from '../../disk/grub.js'
import { PARTITION_TYPE } from '../../disk/partition-type.js'
import { copyFileSparse, writeAt } from '../../disk/sparse.js'
import type { Guest } from '../../guest/definition.js'
import {
  objectOf,
  type Room,
  type Stage,
  type StageDefinition,
  type StageOutput,
  type StageResult,
  type Workbench,
} from '../../store/stage.js'

const ALIGNMENT = MiB
const ESP_NUMBER = 2
/** 65,525 clusters of 512 bytes are the least that FAT32 has (FAT specification 1.03, page 14). */
const ESP: Bytes = 40 * MiB
/** Where the root begins: alignment, bios-boot, ESP. */
const ROOT_AT: Bytes = 2 * ALIGNMENT + ESP

export interface DiskInputs {
  architecture: ArchitectureName
  /** Of the guest. */
  name: string
  /** Of the guest: the disk's GUIDs and the file system's UUID derive from it. */
  uuid: string
  size: Bytes
  units: string[]
  files: Keyed<LaidFiles>
  /** Where the profile has the source, such as `guests[0].source.debian`: for errors, and not in the key. */
  place: Keyed<string>
  epoch: number
}

/** An unpacked guest takes some 350 MiB, and is packed to a quarter of that. */
const TREE_ROOM: Room = { scratch: 512 * MiB, result: 150 * MiB }

/** The disk is made raw, then compressed. The estimate was measured on the demo. */
const DISK_ROOM: Room = { scratch: GiB, result: 150 * MiB, objects: { disk: 115 * MiB } }

/** The stage that installs a guest's packages; guests with the same packages share it. */
export function guestTreeStage(guest: string, packages: Omit<TreeInputs, 'excludes' | 'drivers'>) {
  const inputs = { ...packages, excludes: [], drivers: [] }
  return treeStage(`tree.${guest}`, `install guest ${guest}`, inputs, TREE_ROOM)
}

/** The stage that makes of a tree a guest's disk. */
export function diskStage(inputs: DiskInputs, tree: Stage): StageDefinition<DiskInputs, 'tree'> {
  return {
    name: `disk.${inputs.name}`,
    title: `make the disk of guest ${inputs.name}`,
    program: 'sources/debian/disk',
    inputs,
    reads: { tree },
    room: () => DISK_ROOM,
    make: makeDisk,
  }
}

/** What of ours is laid over the tree. */
function guestEntries(
  guest: Pick<Guest<unknown>, 'name' | 'uuid'>,
  sources: string[],
  architecture: ArchitectureName,
): TarEntry[] {
  const uuid = rootUuid(guest)
  const text = (target: string, content: string): TarEntry => ({
    target,
    mode: 0o644,
    owner: 'root:root',
    from: { text: content },
  })
  return [
    text('/etc/hostname', `${guest.name}\n`),
    text('/etc/hosts', `127.0.0.1 localhost\n127.0.1.1 ${guest.name}\n::1 localhost ip6-localhost\n`),
    text('/etc/apt/sources.list', sources.map((line) => `${line}\n`).join('')),
    text('/etc/fstab', `UUID=${uuid} / ext4 errors=remount-ro 0 1\n`),
    text('/etc/systemd/network/10-wired.network', '[Match]\nName=en* eth*\n\n[Network]\nDHCP=yes\n'),
    text('/etc/initramfs-tools/conf.d/keyvisor', 'MODULES=list\nCOMPRESS=zstd\nFSTYPE=ext4\nRESUME=none\n'),
    text('/etc/systemd/system/keyvisor-hypervisor.service', hypervisorUnit(ARCHITECTURES[architecture])),
    {
      ...text('/etc/initramfs-tools/hooks/keyvisor', GUEST_HOOK),
      mode: 0o755,
    },
  ]
}

/** What is laid over a guest's tree, the user's own files among it. */
export function guestFiles(
  guest: Pick<Guest<unknown>, 'name' | 'uuid'>,
  { sources, files }: { sources: string[]; files: PlannedFile[] },
  architecture: ArchitectureName,
): Promise<Keyed<LaidFiles>> {
  return keyedFiles(guestEntries(guest, sources, architecture), files)
}

/** The boot report carries what the guest's kernel itself says of the hypervisor; `quiet` keeps it off the console. */
const hypervisorUnit = ({ serial }: Architecture) => `[Unit]
Description=Say on the console which hypervisor the kernel found
DefaultDependencies=no
ConditionPathExists=/dev/${serial}

[Service]
Type=oneshot
ExecStart=/bin/sh -c 'dmesg | grep -m1 "Hypervisor detected" >/dev/${serial}'

[Install]
WantedBy=sysinit.target
`

/** The drivers that a guest of ours starts from; the hardware database is for hardware that is not there. */
const GUEST_HOOK = `#!/bin/sh
[ "$1" = prereqs ] && echo udev && exit 0
. /usr/share/initramfs-tools/hook-functions
manual_add_modules virtio_pci virtio_blk virtio_net virtio_scsi ahci ata_piix sd_mod ext4 crc32c_generic
rm -f "$DESTDIR/usr/lib/udev/hwdb.bin"
`

async function makeDisk(
  bench: Workbench,
  inputs: DiskInputs,
  read: Record<'tree', StageResult>,
): Promise<StageOutput> {
  const { scratch, tools } = bench
  await makeRoot(bench, inputs, objectOf(read.tree, 'tree').path)
  const raw = join(scratch, 'disk.raw')
  await assembleDisk(inputs, scratch, raw, tools)
  const disk = join(scratch, 'disk.qcow2')
  // One coroutine, in order: `-W` would make the bytes depend on timing.
  await tools.run({
    tool: 'qemu-img',
    args: ['convert', '-f', 'raw', '-O', 'qcow2', '-c', '-o', 'compression_type=zstd', raw, disk],
  })
  return { files: { disk, packages: join(scratch, 'packages') } }
}

function rootUuid(guest: { uuid: string }): string {
  return derivedUuid('guest root', guest.uuid)
}

async function makeRoot(bench: Workbench, inputs: DiskInputs, tree: string): Promise<void> {
  const { scratch, tools } = bench
  const { epoch, units } = inputs
  const { overlay, own } = inputs.files.value
  const place = inputs.place.value
  await writeTar(overlay, epoch, join(scratch, 'overlay.tar'))
  await writeLaying(own, `${place}.files`, epoch, scratch)
  const folder = join(scratch, 'root')
  const ext4: Ext4Request = {
    label: 'root',
    uuid: rootUuid(inputs),
    size: rootBytes(inputs.size),
    epoch,
  }
  const unpack = ['-q', '-n', '-f', '-d', folder, tree]
  const mke2fs = ext4Arguments(ext4, folder, join(scratch, 'root.ext4'))
  await runInNamespace({
    path: packageFile('src/sources/debian/disk.sh'),
    env: {
      SOURCE_DATE_EPOCH: String(epoch),
      SCRATCH: scratch,
      UNITS: units.join(' '),
      PLACE: place,
      UNPACK: shellWords(tools.argv({ tool: 'unsquashfs', args: unpack })),
      MAKE_EXT4: shellWords(tools.argv({ tool: 'mke2fs', args: mke2fs })),
    },
    tree: { folder, from: [tree, join(scratch, 'overlay.tar'), join(scratch, 'files.tar')] },
    onLine: bench.note,
    signal: bench.signal,
  }).catch(async (error: KeyvisorError) => {
    throw guestDiskFull(error, inputs) ?? (await refusalOr(error, scratch))
  })
}

function guestDiskFull(cause: KeyvisorError, { name, size }: DiskInputs): KeyvisorError | undefined {
  const isFull = /Could not allocate|ext2fs_.*while populating/.test(cause.message)
  if (fileError(cause) || !isFull) return undefined
  const message = `the packages and files of guest ${name} do not fit its disk of ${formatBytes(size)}`
  return new KeyvisorError('guest-disk-full', message, {
    hint: 'raise source.debian.size of the guest',
    cause,
  })
}

function rootBytes(size: Bytes): Bytes {
  return size - ROOT_AT - ALIGNMENT
}

/** All, whatever its domain has today: somebody may change that one day. */
const FIRMWARE: readonly Firmware[] = ['bios', 'uefi', 'secureboot']

/** Puts boot loaders, ESP and root at their places in a sparse raw disk. */
async function assembleDisk(
  { uuid, size, epoch, ...inputs }: DiskInputs,
  scratch: string,
  raw: string,
  tools: ToolRunner,
): Promise<void> {
  const esp = join(scratch, 'esp.fat')
  const architecture = ARCHITECTURES[inputs.architecture]
  const config = grubConfig(rootUuid({ uuid }), architecture)
  const serial = rootUuid({ uuid }).slice(0, 8)
  const request = {
    architecture: inputs.architecture,
    label: 'ESP',
    serial,
    size: ESP,
    epoch,
    firmware: FIRMWARE,
    grubConfig: config,
    files: [],
  }
  await writeEsp(request, esp, tools)
  const loader = await makeBiosLoader(scratch, tools, {
    architecture: inputs.architecture,
    esp: ESP_NUMBER,
    serial: false,
  })
  const sectors = size / SECTOR
  const core = ALIGNMENT / SECTOR
  const bootCode = patchBootImage(await readFile(loader.boot), core)
  const disk = await open(raw, 'w')
  try {
    await writeGptDisk(disk, {
      guid: derivedUuid('guest disk', uuid),
      sectors,
      partitions: partitions(uuid, size, architecture),
      bootCode,
    })
    await writeAt(disk, patchCoreImage(await readFile(loader.core), core), ALIGNMENT)
    await copyFileSparse(esp, disk, 2 * ALIGNMENT)
    await copyFileSparse(join(scratch, 'root.ext4'), disk, ROOT_AT)
  } finally {
    await disk.close()
  }
}

function partitions(uuid: string, size: Bytes, { rootPartition }: Architecture): GptDisk['partitions'] {
  const partition = (
    number: number,
    name: string,
    type: string,
    from: Bytes,
    bytes: Bytes,
  ): GptDisk['partitions'][number] => ({
    number,
    name,
    type,
    guid: derivedUuid('guest partition', uuid, name),
    first: from / SECTOR,
    last: (from + bytes) / SECTOR - 1,
  })
  return [
    partition(1, 'bios-boot', PARTITION_TYPE.biosBoot, ALIGNMENT, ALIGNMENT),
    partition(ESP_NUMBER, 'esp', PARTITION_TYPE.esp, 2 * ALIGNMENT, ESP),
    partition(3, 'root', rootPartition, ROOT_AT, rootBytes(size)),
  ]
}

/**
 * The kernel is found through the links that Debian keeps to the newest one, so that updates take effect.
 *
 * What a guest asks of an emulated port is an exit to QEMU, and dear where the host is emulated itself. `quiet`: all
 * messages of a start, a character at a time, take a minute. `pci=lastbus=0`: all buses that there are hang below the root
 * bus, and the kernel does not ask each slot of 255 others whether somebody is there, 16,000 exits (Linux,
 * kernel-parameters.txt; arch/x86/pci/legacy.c, `pcibios_fixup_peer_bridges`).
 */
function grubConfig(uuid: string, { serial }: Architecture): string {
  return `set timeout=0
search --no-floppy --fs-uuid --set=root ${uuid}
linux /vmlinuz root=UUID=${uuid} ro quiet pci=lastbus=0 console=tty0 console=${serial},115200
initrd /initrd.img
boot
`
}
