/**
 * A guest from Debian packages: a tree becomes a bootable disk, as a compressed qcow2.
 *
 * The disk is a small copy of the stick's own boot chain (bios-boot, ESP, root), so that it starts under all three
 * firmwares. The kernel lies on the root, where the guest's own updates replace it; the ESP has only the loaders.
 * Left out: login (the user's files bring it), swap.
 */
import { open, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { derivedUuid } from '../../base/digests.js'
import { KeyvisorError } from '../../base/errors.js'
import { fileError } from '../../base/file-errors.js'
import { packageFile } from '../../base/package.js'
import { shellWords } from '../../base/shell.js'
import type { ToolRunner } from '../../base/tool.js'
import { type Bytes, formatBytes, MiB, SECTOR } from '../../base/units.js'
import { makeBiosLoader, writeEsp } from '../../debian/boot.js'
import { type TarEntry, writeTar } from '../../debian/files.js'
import { refusalOr, writeLaying } from '../../debian/lay.js'
import { runInNamespace } from '../../debian/script.js'
import { type Ext4Request, ext4Arguments } from '../../disk/ext4.js'
import { BACKUP_SECTORS, encodeGpt, type GptPartition } from '../../disk/gpt.js'
import { patchBootImage, patchCoreImage } from '../../disk/grub.js'
import { encodeProtectiveMbr } from '../../disk/mbr.js'
import { PARTITION_TYPE } from '../../disk/partition-type.js'
import { copySparse, writeAt } from '../../disk/sparse.js'
import type { GuestPlan, GuestSource } from '../../plan/types.js'
import type { Firmware } from '../../stick/definition.js'

type DebianSource = Extract<GuestSource, { kind: 'debian' }>

const ALIGNMENT = MiB
/** 65,525 clusters of 512 bytes are the least that FAT32 has (FAT specification 1.03, page 14). */
const ESP: Bytes = 40 * MiB
/** Where the root begins: alignment, bios-boot, ESP. */
const ROOT_AT: Bytes = 2 * ALIGNMENT + ESP

export interface GuestDiskRequest {
  guest: GuestPlan
  source: DebianSource
  /** Where the profile has the source, such as `guests[0].source.debian`. */
  place: string
  treeSquashfs: string
  epoch: number
}

/** What is laid over the tree, as entries; the stage's key is made from the same. */
export function guestEntries(guest: GuestPlan, source: DebianSource): TarEntry[] {
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
    text('/etc/apt/sources.list', source.sources.map((line) => `${line}\n`).join('')),
    text('/etc/fstab', `UUID=${uuid} / ext4 errors=remount-ro 0 1\n`),
    text('/etc/systemd/network/10-wired.network', '[Match]\nName=en* eth*\n\n[Network]\nDHCP=yes\n'),
    text('/etc/initramfs-tools/conf.d/keyvisor', 'MODULES=list\nCOMPRESS=zstd\nFSTYPE=ext4\nRESUME=none\n'),
    text('/etc/systemd/system/keyvisor-hypervisor.service', HYPERVISOR_UNIT),
    {
      ...text('/etc/initramfs-tools/hooks/keyvisor', GUEST_HOOK),
      mode: 0o755,
    },
  ]
}

/** The boot report carries what the guest's kernel itself says of the hypervisor; `quiet` keeps it off the console. */
const HYPERVISOR_UNIT = `[Unit]
Description=Say on the console which hypervisor the kernel found
DefaultDependencies=no
ConditionPathExists=/dev/ttyS0

[Service]
Type=oneshot
ExecStart=/bin/sh -c 'dmesg | grep -m1 "Hypervisor detected" >/dev/ttyS0'

[Install]
WantedBy=sysinit.target
`

/** The drivers that a guest of ours starts from; the hardware database is for hardware that is not there. */
const GUEST_HOOK = `#!/bin/sh
[ "$1" = prereqs ] && echo udev && exit 0
. /usr/share/initramfs-tools/hook-functions
manual_add_modules virtio_pci virtio_blk virtio_net virtio_scsi ahci sd_mod ext4 crc32c_generic
rm -f "$DESTDIR/usr/lib/udev/hwdb.bin"
`

/** Makes the disk in `scratch` and returns the qcow2 and dpkg's own list of packages. */
export async function packGuestDisk(
  request: GuestDiskRequest,
  scratch: string,
  tools: ToolRunner,
  readable: string[],
  options: { signal?: AbortSignal; onLine?: (line: string) => void } = {},
): Promise<{ disk: string; packages: string }> {
  await makeRoot(request, scratch, tools, readable, options)
  const raw = join(scratch, 'disk.raw')
  await assembleDisk(request, scratch, raw, tools)
  const disk = join(scratch, 'disk.qcow2')
  // One coroutine, in order: `-W` would make the bytes depend on timing.
  await tools.run({
    tool: 'qemu-img',
    args: ['convert', '-f', 'raw', '-O', 'qcow2', '-c', '-o', 'compression_type=zstd', raw, disk],
    binds: [{ path: scratch, write: true }],
    ...(options.signal ? { signal: options.signal } : {}),
  })
  return { disk, packages: join(scratch, 'packages') }
}

function rootUuid(guest: GuestPlan): string {
  return derivedUuid('guest root', guest.uuid)
}

async function makeRoot(
  request: GuestDiskRequest,
  scratch: string,
  tools: ToolRunner,
  readable: string[],
  options: { signal?: AbortSignal; onLine?: (line: string) => void },
): Promise<void> {
  const { guest, source, place, epoch } = request
  const overlay = join(scratch, 'overlay.tar')
  await writeTar(guestEntries(guest, source), epoch, overlay)
  await writeLaying(source.files, `${place}.files`, epoch, scratch)
  const binds = [{ path: scratch, write: true }, ...readable.map((path) => ({ path }))]
  const env = { SOURCE_DATE_EPOCH: String(epoch) }
  const folder = join(scratch, 'root')
  const ext4: Ext4Request = {
    label: 'root',
    uuid: rootUuid(guest),
    size: rootBytes(source.size),
    epoch,
    readOnly: false,
  }
  const unpack = ['-q', '-n', '-f', '-d', folder, request.treeSquashfs]
  const mke2fs = ext4Arguments(ext4, folder, join(scratch, 'root.ext4'))
  await runInNamespace({
    path: packageFile('src/sources/debian/disk.sh'),
    env: {
      ...env,
      SCRATCH: scratch,
      UNITS: source.units.join(' '),
      PLACE: place,
      UNPACK: shellWords(tools.argv({ tool: 'unsquashfs', args: unpack, binds })),
      MAKE_EXT4: shellWords(tools.argv({ tool: 'mke2fs', args: mke2fs, binds, env })),
    },
    tree: { folder, from: [request.treeSquashfs, overlay, join(scratch, 'files.tar')] },
    ...options,
  }).catch(async (error: KeyvisorError) => {
    const isFull = /Could not allocate|ext2fs_.*while populating/.test(error.message)
    if (fileError(error) || !isFull) throw await refusalOr(error, scratch)
    const message = `the packages and files of guest ${guest.name} do not fit its disk of ${formatBytes(source.size)}`
    throw new KeyvisorError('guest-disk-full', message, {
      hint: 'raise source.debian.size of the guest',
      cause: error,
    })
  })
}

function rootBytes(size: Bytes): Bytes {
  return size - ROOT_AT - ALIGNMENT
}

/** All, whatever its domain has today: somebody may change that one day. */
const FIRMWARE: readonly Firmware[] = ['bios', 'uefi', 'secureboot']

/** Puts boot loaders, ESP and root at their places in a sparse raw disk. */
async function assembleDisk(
  { guest, source, epoch }: GuestDiskRequest,
  scratch: string,
  raw: string,
  tools: ToolRunner,
): Promise<void> {
  const esp = join(scratch, 'esp.fat')
  const config = grubConfig(rootUuid(guest))
  const serial = rootUuid(guest).slice(0, 8)
  const request = {
    label: 'ESP',
    serial,
    size: ESP,
    epoch,
    firmware: FIRMWARE,
    grubConfig: config,
    files: [],
  }
  await writeEsp(request, esp, tools, [scratch])
  const loader = await makeBiosLoader(scratch, tools)
  const sectors = source.size / SECTOR
  const core = ALIGNMENT / SECTOR
  const bootCode = patchBootImage(await readFile(loader.boot), core)
  const { primary, backup } = encodeGpt(
    derivedUuid('guest disk', guest.uuid),
    sectors,
    partitions(guest, source.size),
  )
  const disk = await open(raw, 'w')
  try {
    await disk.truncate(source.size)
    await writeAt(disk, encodeProtectiveMbr(sectors, bootCode), 0)
    await writeAt(disk, primary, SECTOR)
    await writeAt(disk, patchCoreImage(await readFile(loader.core), core), ALIGNMENT)
    await copySparse(esp, disk, 2 * ALIGNMENT)
    await copySparse(join(scratch, 'root.ext4'), disk, ROOT_AT)
    await writeAt(disk, backup, (sectors - BACKUP_SECTORS) * SECTOR)
  } finally {
    await disk.close()
  }
}

function partitions(guest: GuestPlan, size: Bytes): GptPartition[] {
  const partition = (
    number: number,
    name: string,
    type: string,
    from: Bytes,
    bytes: Bytes,
  ): GptPartition => ({
    number,
    name,
    type,
    guid: derivedUuid('guest partition', guest.uuid, name),
    first: from / SECTOR,
    last: (from + bytes) / SECTOR - 1,
    attributes: 0n,
  })
  return [
    partition(1, 'bios-boot', PARTITION_TYPE.biosBoot, ALIGNMENT, ALIGNMENT),
    partition(2, 'esp', PARTITION_TYPE.esp, 2 * ALIGNMENT, ESP),
    partition(3, 'root', PARTITION_TYPE.root, ROOT_AT, rootBytes(size)),
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
function grubConfig(uuid: string): string {
  return `set timeout=0
search --no-floppy --fs-uuid --set=root ${uuid}
linux /vmlinuz root=UUID=${uuid} ro quiet pci=lastbus=0 console=tty0 console=ttyS0,115200
initrd /initrd.img
boot
`
}
