/**
 * The library: one read-only file system with every guest's base image and definition, and a verity tree behind it.
 */
import { chmod, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { derivedUuid, sha256 } from '../base/digests.js'
import type { ToolRunner } from '../base/tool.js'
import { alignUp, type Bytes, KiB, MiB } from '../base/units.js'
import { writeExt4 } from '../disk/ext4.js'
import { appendHashTree, type HashTree } from '../disk/hash-tree.js'
import type { LibraryIndex } from '../guest/definition.js'

/** A base image, and how it gets into the library's folder without a copy. */
export interface BaseImage {
  sha256: string
  size: Bytes
  link: (target: string) => Promise<void>
}

/** What ext4 needs for itself: inode tables and bitmaps take some 1.6 % of a file system, and a little always. */
const OVERHEAD = { percent: 3, least: 8 * MiB }

/** Makes the library in `scratch`; base images are linked into the folder that mke2fs reads. */
export async function packLibrary(
  index: LibraryIndex,
  bases: BaseImage[],
  scratch: string,
  tools: ToolRunner,
  epoch: number,
): Promise<{ image: string; tree: HashTree }> {
  const folder = join(scratch, 'library')
  const image = join(scratch, 'library.ext4')
  const text = `${JSON.stringify(index, null, 1)}\n`
  await mkdir(folder)
  await writeFile(join(folder, 'guests.json'), text)
  // Whatever the builder's umask: mke2fs takes modes as they are.
  await chmod(join(folder, 'guests.json'), 0o644)
  for (const base of bases) await base.link(join(folder, `${base.sha256}.qcow2`))
  const content = bases.reduce((sum, base) => sum + alignUp(base.size, 4 * KiB), text.length)
  const size = alignUp(Math.ceil((content * (100 + OVERHEAD.percent)) / 100) + OVERHEAD.least, MiB)
  const uuid = derivedUuid('library', sha256(text))
  await writeExt4({ label: 'library', uuid, size, epoch, readOnly: true }, folder, image, tools, [])
  return { image, tree: await appendHashTree(image, tools) }
}
