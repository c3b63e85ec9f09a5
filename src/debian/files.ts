/**
 * Files that go into a root: one deterministic tar, by tar-stream.
 *
 * Owners are names, resolved by the tar in the root that it is unpacked into. Left out: extended attributes, which
 * tar-stream corrupts when they are binary.
 */
import { createHash } from 'node:crypto'
import { constants, createReadStream, createWriteStream } from 'node:fs'
import { lstat, readFile, readlink, stat } from 'node:fs/promises'
import { join, posix } from 'node:path'
import { pipeline } from 'node:stream/promises'
import type { Header } from 'tar-stream'
import { canonicalJson, type Sha256, sha256, sha256File } from '../base/digests.js'
import { Keyed } from '../base/keyed.js'
import { namesBelow } from '../base/list-tree.js'
import type { PlannedFile } from './types.js'

/** One entry of a tar; its bytes come from a file of the builder, from a text, or it is a link. */
export interface TarEntry {
  /** Absolute path in the root. */
  target: string
  mode: number
  owner: string
  from: { file: string } | { text: string } | { link: string }
}

/** A folder laid out as the root: each file stands where it will stand. Executable files stay so, others are 0644. */
export async function overlayEntries(folder: string): Promise<TarEntry[]> {
  const entries: TarEntry[] = []
  for (const name of await namesBelow(folder)) {
    const path = join(folder, name)
    const found = await lstat(path)
    if (found.isDirectory()) continue
    const from = found.isSymbolicLink() ? { link: await readlink(path) } : { file: path }
    const mode = found.mode & 0o100 ? 0o755 : 0o644
    entries.push({ target: `/${name}`, mode, owner: 'root:root', from })
  }
  return entries
}

/** The user's own files, as the plan has them. */
export function plannedEntries(files: readonly PlannedFile[]): TarEntry[] {
  return files.map(({ source, target, mode, owner }) => ({ target, mode, owner, from: { file: source } }))
}

/** What is laid over a tree. */
export interface LaidFiles {
  /** Ours. */
  overlay: TarEntry[]
  /** The user's own. */
  own: readonly PlannedFile[]
}

/** The same as an input of a stage: in its key stands a digest of each entry, mode and owner included, by target. */
export async function keyedFiles(
  overlay: TarEntry[],
  own: readonly PlannedFile[],
): Promise<Keyed<LaidFiles>> {
  const entries = [...overlay, ...plannedEntries(own)]
  const digests = entries.map(async ({ from, ...entry }) => {
    const content = 'file' in from ? (await sha256File(from.file)).sha256 : canonicalJson(from)
    return [entry.target, sha256(canonicalJson({ ...entry, content }))] as const
  })
  return new Keyed({ overlay, own }, Object.fromEntries(await Promise.all(digests)))
}

/** Writes the tar and returns its digest. Entries of one target: the later wins, as in tar itself. */
export async function writeTar(entries: TarEntry[], epoch: number, path: string): Promise<Sha256> {
  // Most builds have nothing to pack.
  const { pack } = await import('tar-stream')
  const tar = pack()
  const hash = createHash('sha256')
  tar.on('data', (chunk) => hash.update(chunk as Buffer))
  const written = pipeline(tar, createWriteStream(path))
  for (const entry of await withContents(entries)) {
    await new Promise<void>((resolve, reject) => {
      const sink = tar.entry(header(entry, epoch), (error) => (error ? reject(error) : resolve()))
      if ('file' in entry.from) createReadStream(entry.from.file).on('error', reject).pipe(sink)
      else sink.end('text' in entry.from ? entry.from.text : undefined)
    })
  }
  tar.finalize()
  await written
  return hash.digest('hex')
}

interface SizedEntry extends TarEntry {
  size: number
}

async function withContents(entries: TarEntry[]): Promise<SizedEntry[]> {
  const latest = new Map(entries.map((entry) => [entry.target, entry]))
  const sorted = [...latest.values()].sort((a, b) => (a.target < b.target ? -1 : 1))
  return Promise.all(sorted.map(async (entry) => ({ ...entry, size: await contentSize(entry) })))
}

async function contentSize({ from }: TarEntry): Promise<number> {
  if ('file' in from) return (await stat(from.file)).size
  return 'text' in from ? Buffer.byteLength(from.text) : 0
}

function header(entry: SizedEntry, epoch: number): Partial<Header> & { name: string } {
  const [user = 'root', group = user] = entry.owner.split(':')
  return {
    name: entry.target.slice(1),
    // With the bits of a regular file, which tar-stream leaves out again: it takes a 0 for no mode at all.
    mode: entry.mode | constants.S_IFREG,
    mtime: new Date(epoch * 1000),
    size: entry.size,
    ...owner('uid', 'uname', user),
    ...owner('gid', 'gname', group),
    ...('link' in entry.from ? { type: 'symlink', linkname: entry.from.link } : { type: 'file' }),
  }
}

/** A number stands for itself; a name is left to the tar that unpacks. */
function owner(id: 'uid' | 'gid', name: 'uname' | 'gname', value: string) {
  return /^\d+$/.test(value) ? { [id]: Number(value), [name]: '' } : { [id]: 0, [name]: value }
}

/** A compiled ES module and all that it imports by relative path, as paths below `folder`. */
export async function moduleClosure(folder: string, entry: string): Promise<string[]> {
  const found = new Set<string>()
  const queue = [entry]
  for (let path = queue.pop(); path !== undefined; path = queue.pop()) {
    if (found.has(path)) continue
    found.add(path)
    const text = await readFile(join(folder, path), 'utf8')
    for (const [, specifier] of text.matchAll(/from\s+'(\.[^']+)'/g)) {
      queue.push(posix.join(posix.dirname(path), specifier as string))
    }
  }
  return [...found].sort()
}
