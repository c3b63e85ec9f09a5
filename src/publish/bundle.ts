/**
 * The bundle: every published file in one archive, whose bytes follow from its members alone.
 *
 * Nothing is compressed here: what zlib makes depends on Node's version, and the compressed images are small already.
 */
import { once } from 'node:events'
import { createReadStream, createWriteStream, type Stats } from 'node:fs'
import { stat } from 'node:fs/promises'
import { basename } from 'node:path'
import { finished } from 'node:stream/promises'
import type { Archiver } from 'archiver'
import { whenAborted, whenFailed } from '../base/parallel.js'
import { type Bytes, GiB } from '../base/units.js'
import { writeWhole } from '../store/whole-file.js'

export type BundleForm = 'zip' | 'tar'

export interface BundleRequest {
  form: BundleForm
  path: string
  /** In the order in which they stand in it. */
  files: string[]
  /** Date of every member, in seconds. */
  epoch: number
  /** Permission bits of the bundle. Its members have 0644. */
  mode: number
}

interface Member {
  file: string
  stats: Stats
}

/** Sizes and offsets of a zip have 32 bits (APPNOTE.TXT 4.4.8, 4.4.16). Left: what the directory at its end takes. */
const ZIP32_LIMIT: Bytes = 4 * GiB - 64 * 1024

export async function writeBundle(
  { form, path, files, epoch, mode }: BundleRequest,
  onBytes: (bytes: Bytes) => void,
  signal?: AbortSignal,
): Promise<void> {
  // Few builds make a bundle, and loading this takes a quarter of a build that has nothing to do.
  const { TarArchive, ZipArchive } = await import('archiver')
  const members: Member[] = await Promise.all(files.map(async (file) => ({ file, stats: await stat(file) })))
  const total = members.reduce((sum, { stats }) => sum + stats.size, 0)
  await writeWhole(path, async (temporary) => {
    const archive =
      form === 'zip' ? new ZipArchive({ store: true, forceZip64: total >= ZIP32_LIMIT }) : new TarArchive()
    const target = createWriteStream(temporary, { flags: 'wx', mode })
    archive.pipe(target)
    archive.on('data', (chunk) => onBytes(chunk.length))
    const written = Promise.all([finished(target), appendAll(archive, members, new Date(epoch * 1000))])
    try {
      await Promise.race([written, whenFailed(archive), whenAborted(signal)])
    } finally {
      // Not destroyed: an archive that is throws where nobody can catch it.
      archive.unpipe(target)
      target.destroy()
      written.catch(() => {})
      // One that is still being opened would come after it was removed.
      if (!target.closed) await once(target, 'close')
    }
  })
}

/** One after the other: what is interrupted has no others waiting. */
async function appendAll(archive: Archiver, members: Member[], date: Date): Promise<void> {
  for (const { file, stats } of members) {
    const source = createReadStream(file)
    const added = once(archive, 'entry')
    // `stats` tells a tar the size: without it the whole member would be held in memory.
    archive.append(source, { name: basename(file), date, mode: 0o644, stats })
    await Promise.race([added, whenFailed(source)])
  }
  await archive.finalize()
}
