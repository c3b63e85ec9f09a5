/**
 * ext4 file systems, made from a folder by mke2fs(8) `-d`: no mount, holes stay holes, and the same bytes for the
 * same folder.
 */
import type { Bytes } from '../base/units.js'

export interface Ext4Request {
  label: string
  uuid: string
  size: Bytes
  epoch: number
}

/** mke2fs(8)'s argv for `image`; separate, so that it can also run inside a namespace script. */
export function ext4Arguments(request: Ext4Request, folder: string, image: string): string[] {
  return [
    '-q',
    '-F',
    '-t',
    'ext4',
    '-b',
    '4096',
    '-m',
    '1',
    '-L',
    request.label,
    '-U',
    request.uuid,
    '-O',
    '^orphan_file',
    // The hash seed is random otherwise; lazy initialisation would leave work to the first mount.
    '-E',
    `hash_seed=${request.uuid},lazy_itable_init=0,lazy_journal_init=0,nodiscard`,
    '-d',
    folder,
    image,
    `${request.size / 1024}k`,
  ]
}
