/**
 * Files: whether what a profile names is there, and is what the profile says.
 *
 * Of images only the first bytes are looked at; whether an image is safe to open is the guests' room's to say.
 */
import { open, readdir, readFile, stat } from 'node:fs/promises'
import { basename, dirname, resolve } from 'node:path'
import type { Finding } from './problems.js'
import type { ImageSource, Profile } from './profile.gen.js'
import { entries, fileLists, guestsOf, type Placed, type Sound } from './rules/sound.js'
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
    ...images(profile).map(({ value, path }) => at(path, value.image, (file) => image(file, value.format))),
  ]
  const found = await Promise.all(checks)
  return found.flatMap((finding) => (finding ? [finding] : []))

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

function images(profile: Sound<Profile>): Placed<Sound<ImageSource>>[] {
  return guestsOf(profile).flatMap(({ value: { source }, path }) =>
    source && 'image' in source ? [{ value: source, path: [...path, 'source', 'image'] }] : [],
  )
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

async function image(file: string, format: ImageSource['format'] | undefined): Promise<Found> {
  const unreadable = await regularFile(file)
  if (unreadable || format === undefined) return unreadable
  const start = await firstBytes(file, 32)
  if (start === '') return { code: 'wrong-format', message: `${file} is empty` }
  const actual = MAGIC.find(([, bytes]) => start.startsWith(bytes))?.[0] ?? 'raw'
  if (actual === format) return undefined
  const begins = actual === 'raw' ? 'it does not begin as one does' : `it begins as ${actual} does`
  const isOther = actual === 'qcow2' || actual === 'raw'
  const hint = isOther ? `write format: ${actual}, if it is that` : 'convert it to qcow2 first'
  return { code: 'wrong-format', message: `${file} is not a ${format} image: ${begins}`, hint }
}

async function firstBytes(file: string, length: number): Promise<string> {
  const opened = await open(file)
  try {
    const { buffer, bytesRead } = await opened.read(Buffer.alloc(length), 0, length, 0)
    return buffer.toString('latin1', 0, bytesRead)
  } finally {
    await opened.close()
  }
}
