/**
 * The bundle: every published file in one archive, whose bytes follow from its members alone.
 *
 * Nothing is compressed here: what zlib makes depends on Node's version, and the compressed images are small already.
 */
import { createReadStream, createWriteStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { basename } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { TarArchive, ZipArchive } from 'archiver'
import { type Bytes, GiB } from '../../base/units.js'
import { writeWhole } from '../whole-file.js'

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

/** Sizes and offsets of a zip have 32 bits (APPNOTE.TXT 4.4.8, 4.4.16). Left: what the directory at its end takes. */
const ZIP32_LIMIT: Bytes = 4 * GiB - 64 * 1024

export async function writeBundle(
  { form, path, files, epoch, mode }: BundleRequest,
  onBytes: (bytes: Bytes) => void,
  signal?: AbortSignal,
): Promise<void> {
  const members = await Promise.all(files.map(async (file) => ({ file, stats: await stat(file) })))
  const total = members.reduce((sum, { stats }) => sum + stats.size, 0)
  await writeWhole(path, async (temporary) => {
    const archive =
      form === 'zip' ? new ZipArchive({ store: true, forceZip64: total >= ZIP32_LIMIT }) : new TarArchive()
    const date = new Date(epoch * 1000)
    for (const { file, stats } of members) {
      // `stats` tells a tar the size: without it the whole member would be held in memory.
      archive.append(createReadStream(file), { name: basename(file), date, mode: 0o644, stats })
    }
    const target = createWriteStream(temporary, { flags: 'wx', mode })
    const written = pipeline(archive, target, signal ? { signal } : {})
    archive.on('data', (chunk) => onBytes(chunk.length))
    await Promise.all([written, archive.finalize()])
  })
}
