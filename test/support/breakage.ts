/**
 * Ways to break a copy of an image: each takes its path, and changes it in place.
 */
import { type FileHandle, open, readFile, writeFile } from 'node:fs/promises'
import { systemTools } from '../../src/base/tool.js'
import { type Bytes, MiB, SECTOR } from '../../src/base/units.js'
import { type InspectedPartition, inspectImage } from '../../src/media/inspect.js'

type Partitions = (name: string) => InspectedPartition

/** The partitions of an image by their names. Throws Error where there is none of a name. */
export async function partitionsOf(image: string): Promise<Partitions> {
  const { partitions } = await inspectImage(image)
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

/** An initrd without squashfs: its module lies there under another name. Modules are in a part that is not compressed. */
export async function removeSquashfs(image: string, partition: Partitions, scratch: string): Promise<void> {
  const esp = `${image}@@${partition('esp').first * SECTOR}`
  const mcopy = (...args: string[]) => systemTools.run({ tool: 'mcopy', args: ['-o', '-i', esp, ...args] })
  const initrd = `${scratch}/initrd.img`
  await mcopy('::/a/initrd.img', initrd)
  const bytes = await readFile(initrd)
  const at = bytes.indexOf('/squashfs.ko')
  if (at < 0) throw new Error('BUG: the initrd has no module squashfs where one can read its name')
  bytes.write('/unusable', at, 'latin1')
  await writeFile(initrd, bytes)
  await mcopy(initrd, '::/a/initrd.img')
}
