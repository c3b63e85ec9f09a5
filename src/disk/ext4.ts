/**
 * ext4 file systems, made from a folder by mke2fs(8) `-d`: no mount, holes stay holes, and the same bytes for the
 * same folder.
 */
import { open, stat } from 'node:fs/promises'
import type { ToolRunner } from '../base/tool.js'
import type { Bytes } from '../base/units.js'

export interface Ext4Request {
  label: string
  uuid: string
  size: Bytes
  epoch: number
  /** True for a file system that is only ever read: no journal, no checksums (verity has them). */
  readOnly: boolean
}

/** mke2fs(8)'s argv for `image`; separate, so that it can also run inside a namespace script. */
export function ext4Arguments(request: Ext4Request, folder: string, image: string): string[] {
  const features = request.readOnly ? '^has_journal,^metadata_csum,^resize_inode' : '^orphan_file'
  return [
    '-q',
    '-F',
    '-t',
    'ext4',
    '-b',
    '4096',
    '-m',
    request.readOnly ? '0' : '1',
    '-L',
    request.label,
    '-U',
    request.uuid,
    '-O',
    features,
    // The hash seed is random otherwise; lazy initialisation would leave work to the first mount.
    '-E',
    `hash_seed=${request.uuid},lazy_itable_init=0,lazy_journal_init=0,nodiscard`,
    '-d',
    folder,
    image,
    `${request.size / 1024}k`,
  ]
}

/** Writes a file system of `size` bytes to `image`, with what is in `folder`; the tools must see both. */
export async function writeExt4(
  request: Ext4Request,
  folder: string,
  image: string,
  tools: ToolRunner,
): Promise<void> {
  await tools.run({
    tool: 'mke2fs',
    args: ext4Arguments(request, folder, image),
    env: { SOURCE_DATE_EPOCH: String(request.epoch) },
  })
  // mke2fs leaves a tail that it did not touch unwritten.
  const found = await stat(image)
  if (found.size < request.size) {
    const file = await open(image, 'r+')
    await file.truncate(request.size)
    await file.close()
  }
}
