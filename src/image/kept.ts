/**
 * What the last image at the same place has that the next one needs, too: bases that did not change come from there,
 * where the file system can share their blocks without a copy.
 *
 * It is trusted only as long as its stamp says that nobody wrote to it. Left out: an image of another store's build, which
 * is not trusted at all.
 */
import { constants } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { type Sha256, sha256 } from '../base/digests.js'
import { KeyvisorError } from '../base/errors.js'
import { ifThere } from '../base/file-errors.js'
import { systemTools } from '../base/tool.js'
import { exitStatus } from '../base/tool-errors.js'
import type { Bytes } from '../base/units.js'
import type { Store } from '../store/store.js'
import { fileStamp, openStamp } from '../store/unchanged.js'

/** Where each base begins in an image, by its digest. */
export type BaseOffsets = Record<Sha256, Bytes>

export interface KeptImage {
  path: string
  file: FileHandle
  offsets: BaseOffsets
  /** Throws `image-changed` when it was written to since it was opened. */
  check(): Promise<void>
}

/** Opens the image at `path`, when it is as the last build of this store left it. The caller closes its file. */
export async function openKept(path: string, store: Store): Promise<KeptImage | undefined> {
  const facts = (await store.readRecord(recordKey(path)))?.facts
  const file = facts && (await ifThere(open(path, constants.O_RDONLY | constants.O_NONBLOCK)))
  if (!file) return undefined
  if ((await openStamp(file)) !== facts['stamp']) {
    await file.close()
    return undefined
  }
  const check = async () => {
    if ((await openStamp(file)) !== facts['stamp']) throw written(path)
  }
  return { path, file, offsets: facts['offsets'] as BaseOffsets, check }
}

/** Remembers what a finished image has. */
export async function rememberBases(path: string, offsets: BaseOffsets, store: Store): Promise<void> {
  const facts = { stamp: (await fileStamp(path)) ?? null, offsets }
  await store.writeRecord(recordKey(path), { stage: '', objects: {}, facts })
}

function recordKey(path: string): Sha256 {
  return sha256(`bases of the image at ${path}`)
}

function written(path: string): KeyvisorError {
  return new KeyvisorError('image-changed', `${path} was written to while the build read it`, {
    hint: 'build again; nothing of that image is used then',
  })
}

/** Exit code of {@link CLONE} where nothing was shared. */
const CANNOT = 3

/**
 * FICLONERANGE of ioctl_ficlonerange(2), which Node does not have. Perl is where mmdebstrap is. EXDEV, EINVAL, ENOTTY, ENOSYS
 * and EOPNOTSUPP say that it cannot be; what else goes wrong may do so half-way.
 */
const CLONE = `
  my ($from, $to, $at, $length, $target) = @ARGV;
  open(my $source, '<', $from) && open(my $image, '+<', $to) or die "$!\\n";
  ioctl($image, 0x4020940d, pack('q<Q<Q<Q<', fileno($source), $at, $length, $target)) and exit 0;
  exit ${CANNOT} if grep { $! == $_ } 18, 22, 25, 38, 95;
  die "$!\\n";`

/** Has `to` share blocks of `from`; false where the file system, or this machine, cannot. Throws `tool-failed`. */
export async function cloneRange(
  from: { path: string; at: Bytes; bytes: Bytes },
  to: { path: string; at: Bytes },
): Promise<boolean> {
  const args = ['-e', CLONE, from.path, to.path, `${from.at}`, `${from.bytes}`, `${to.at}`]
  return systemTools.run({ tool: 'perl', args }).then(
    () => true,
    (error) => {
      if (error.code === 'tool-missing' || exitStatus(error) === CANNOT) return false
      throw error
    },
  )
}
