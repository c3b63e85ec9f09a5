/**
 * Files: whether what a profile names is there, and is what the profile says.
 *
 * Of images only the first bytes are looked at; whether an image is safe to open is the guests' room's to say.
 */
import { open, readdir, readFile, stat } from 'node:fs/promises'
import { basename, dirname, resolve } from 'node:path'
import { type Bytes, formatBytes } from '../base/units.js'
import type { Finding } from './problems.js'
import type { ImageSource, Profile } from './profile.gen.js'
import { entries, fileLists, guestsOf, type Placed, type Sound } from './rules/sound.js'
import { stickBytes } from './rules/stick.js'
import { type PlacedSecret, secretFinding, secretSources } from './secrets.js'
import { keysFinding } from './ssh.js'
import { closest } from './wording.js'

type Found = Omit<Finding, 'path'> | undefined

/** Looks at each file that the profile names, relative to `folder`. */
export async function checkFiles(profile: Sound<Profile>, folder: string): Promise<Finding[]> {
  const keyFiles = entries(profile.host?.admin?.sshKeyFiles, ['host', 'admin', 'sshKeyFiles'])
  const checks = [
    ...fileLists(profile)
      .flat()
      .map(({ value, path }) => at([...path, 'source'], value.source, regularFile)),
    ...keyFiles.map(({ value, path }) => at(path, value, keyFile)),
    ...secretSources(profile).map((secret) => secretAt(secret)),
    ...images(profile).map(({ value, path, room }) =>
      at(path, value.image, (file) => image(file, value.format, room)),
    ),
  ]
  const found = await Promise.all(checks)
  return found.flatMap((finding) => (finding ? [finding] : []))

  async function secretAt({ value, path, form }: PlacedSecret) {
    const unreadable = 'file' in value ? await at([...path, 'file'], value.file, regularFile) : undefined
    const found = unreadable ?? (await secretFinding(value, form, folder))
    return found && { path, ...found }
  }

  async function at(
    path: Finding['path'],
    name: string | undefined,
    check: (file: string) => Promise<Found>,
  ) {
    if (name === undefined) return undefined
    const finding = await check(resolve(folder, name))
    return finding && { ...finding, path }
  }
}

/** Each image, and the bytes that its disk may grow to; undefined where the profile sets the disk's size itself. */
function images(profile: Sound<Profile>): (Placed<Sound<ImageSource>> & { room: Bytes | undefined })[] {
  const stick = stickBytes(profile.stick, 'minimumSize')
  return guestsOf(profile).flatMap(({ value: { source, ...guest }, path }) => {
    if (!source || !('image' in source)) return []
    return [{ value: source, path: [...path, 'source', 'image'], room: 'disk' in guest ? undefined : stick }]
  })
}

async function regularFile(file: string): Promise<Found> {
  try {
    if (!(await stat(file)).isFile()) return { code: 'not-a-file', message: `${file} is not a regular file` }
    await (await open(file)).close()
    return undefined
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code !== 'ENOENT' && code !== 'ENOTDIR') {
      return { code: 'not-a-file', message: `${file} cannot be read (${code})` }
    }
    const hint = await neighbour(file)
    return { code: 'no-file', message: `there is no file ${file}`, hint }
  }
}

/** A name in the same folder that was probably meant. */
async function neighbour(file: string): Promise<string | undefined> {
  const names = await readdir(dirname(file)).catch(() => [])
  const meant = closest(basename(file), names)
  return meant && `did you mean ${meant}?`
}

async function keyFile(file: string): Promise<Found> {
  return (await regularFile(file)) ?? keysFinding(await readFile(file, 'utf8'))
}

/** What the first bytes of an image's or an archive's file say. */
const MAGIC: [name: string, bytes: string][] = [
  ['qcow2', 'QFI\xfb'],
  ['vmdk', 'KDMV'],
  ['vmdk', '# Disk DescriptorFile'],
  ['vhdx', 'vhdxfile'],
  ['vhd', 'conectix'],
  ['vdi', '<<< '],
  ['gzip', '\x1f\x8b'],
  ['xz', '\xfd7zXZ'],
  ['zstd', '\x28\xb5\x2f\xfd'],
  ['zip', 'PK\x03\x04'],
]

async function image(
  file: string,
  format: ImageSource['format'] | undefined,
  room: Bytes | undefined,
): Promise<Found> {
  const unreadable = await regularFile(file)
  if (unreadable || format === undefined) return unreadable
  const start = await firstBytes(file, 32)
  if (start.length === 0) return { code: 'wrong-format', message: `${file} is empty` }
  const text = start.toString('latin1')
  const actual = MAGIC.find(([, bytes]) => text.startsWith(bytes))?.[0] ?? 'raw'
  if (actual === format) return tooLarge(file, await virtualSize(file, format, start), room)
  const begins = actual === 'raw' ? 'it does not begin as one does' : `it begins as ${actual} does`
  const isOther = actual === 'qcow2' || actual === 'raw'
  const hint = isOther ? `write format: ${actual}, if it is that` : 'convert it to qcow2 first'
  return { code: 'wrong-format', message: `${file} is not a ${format} image: ${begins}`, hint }
}

/** Size of the disk that the guest will see (qcow2.txt, "Header", bytes 24 to 31). */
async function virtualSize(file: string, format: ImageSource['format'], start: Buffer): Promise<Bytes> {
  if (format === 'raw') return (await stat(file)).size
  return start.length < 32 ? 0 : Number(start.readBigUInt64BE(24))
}

function tooLarge(file: string, size: Bytes, room: Bytes | undefined): Found {
  if (room === undefined || size <= room) return undefined
  const message = `the disk in ${file} can grow to ${formatBytes(size)}; the smallest stick has ${formatBytes(room)}`
  const hint = 'a guest that fills it fills the stick: make stick.minimumSize larger, or the disk smaller'
  return { code: 'image-larger-than-stick', message, hint }
}

async function firstBytes(file: string, length: number): Promise<Buffer> {
  const opened = await open(file)
  try {
    const { buffer, bytesRead } = await opened.read(Buffer.alloc(length), 0, length, 0)
    return buffer.subarray(0, bytesRead)
  } finally {
    await opened.close()
  }
}
