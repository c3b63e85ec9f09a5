/**
 * Ways to break a copy of an image: each takes its path, and changes it in place.
 */
import { type FileHandle, open, readFile, writeFile } from 'node:fs/promises'
import { systemTools, type ToolRunner } from '../../src/base/tool.js'
import { type Bytes, MiB, SECTOR } from '../../src/base/units.js'
import { type InspectedPartition, inspectImage } from '../../src/media/inspect.js'

type Partitions = (name: string) => InspectedPartition

/** The partitions of an image by their names. Throws Error where there is none of a name. */
export async function partitionsOf(image: string, tools: ToolRunner): Promise<Partitions> {
  const { partitions } = await inspectImage(image, tools)
  return (name) => {
    const found = partitions.find((one) => one.name === name)
    if (!found) throw new Error(`BUG: there is no partition ${name}`)
    return found
  }
}

/** Changes one bit of a byte in the first block of the root. */
export async function damageRoot(image: string, partition: Partitions): Promise<void> {
  // The squashfs superblock's block size (squashfs: struct squashfs_super_block).
  await damage(image, partition('root-a').first * SECTOR + 12)
}

/** Changes one bit in the header of each disk of the library; how many there are. */
export async function damageLibrary(image: string, partition: Partitions): Promise<number> {
  const disks = await findQcow2(image, partition('library'))
  // The virtual size.
  for (const at of disks) await damage(image, at + 24)
  return disks.length
}

/** Changes one bit of one byte. */
export async function damage(file: string, offset: Bytes): Promise<void> {
  const opened = await open(file, 'r+')
  try {
    const { buffer } = await opened.read(Buffer.alloc(1), 0, 1, offset)
    await opened.write(Buffer.of((buffer[0] as number) ^ 1), 0, 1, offset)
  } finally {
    await opened.close()
  }
}

/** Where each qcow2 of a partition begins, in bytes from the image's start. */
async function findQcow2(path: string, { first, last }: InspectedPartition): Promise<Bytes[]> {
  const found: Bytes[] = []
  const file: FileHandle = await open(path, 'r')
  try {
    for (let at = first * SECTOR; at < (last + 1) * SECTOR; at += MiB) {
      const { buffer } = await file.read(Buffer.alloc(MiB), 0, MiB, at)
      // File systems begin files at blocks of 4 KiB.
      for (let block = 0; block < MiB; block += 4096)
        if (buffer.toString('latin1', block, block + 4) === 'QFI\xfb') found.push(at + block)
    }
  } finally {
    await file.close()
  }
  return found
}

/** Takes the library out of the partition table. */
export async function removeLibrary(image: string, partition: Partitions): Promise<void> {
  await systemTools.run({ tool: 'sgdisk', args: [`--delete=${partition('library').number}`, image] })
}

/** To the initrd, squashfs is a module that cannot be loaded: as where it was left out. */
export async function removeSquashfs(image: string, partition: Partitions, scratch: string): Promise<void> {
  const esp = `${image}@@${partition('esp').first * SECTOR}`
  const mcopy = (...args: string[]) => systemTools.run({ tool: 'mcopy', args: ['-o', '-i', esp, ...args] })
  const initrd = `${scratch}/initrd.img`
  await mcopy('::/a/initrd.img', initrd)
  const more = cpio([
    { path: 'etc', mode: 0o040755, text: '' },
    { path: 'etc/modprobe.d', mode: 0o040755, text: '' },
    { path: 'etc/modprobe.d/no-squashfs.conf', mode: 0o100644, text: 'install squashfs /bin/false\n' },
    { path: 'TRAILER!!!', mode: 0, text: '' },
  ])
  await writeFile(initrd, Buffer.concat([more, await readFile(initrd)]))
  await mcopy(initrd, '::/a/initrd.img')
}

/** An archive that the kernel unpacks before the one behind it (Linux, "initramfs buffer format"; 13 numbers a file). */
function cpio(files: { path: string; mode: number; text: string }[]): Buffer {
  const entries = files.map(({ path, mode, text }, index) => {
    const numbers = [index + 1, mode, 1, 0, 0, 0, text.length, 0, 0, 0, 0, path.length + 1, 0]
    const header = `070701${numbers.map((number) => number.toString(16).padStart(8, '0')).join('')}`
    return Buffer.concat([padded(`${header}${path}\0`, 4), padded(text, 4)])
  })
  return padded(Buffer.concat(entries).toString('latin1'), 512)
}

function padded(text: string, to: number): Buffer {
  return Buffer.from(text.padEnd(Math.ceil(text.length / to) * to, '\0'), 'latin1')
}
