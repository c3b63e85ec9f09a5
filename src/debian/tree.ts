/**
 * Trees: Debian packages become a packed root tree (for a host or a guest) or an unpacked tools tree.
 *
 * Left out: what makes a tree a host or a guest; that is the business of those rooms.
 */

import { link, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { sha256 } from '../base/digests.js'
import { packageFile } from '../base/package.js'
import { shellWords } from '../base/shell.js'
import { systemTools, type ToolRunner } from '../base/tool.js'
import { debFileName } from './apt.js'
import { runInNamespace } from './script.js'
import type { LockedPackage } from './types.js'

/** A pinned package and its checked .deb. */
export interface Deb {
  item: LockedPackage
  path: string
}

export interface TreeRequest {
  suite: string
  /** Names asked for, not the dependencies. */
  packages: string[]
  debs: Deb[]
  /** Lines for dpkg.cfg(5): what is not unpacked at all. */
  excludes: string[]
  /** Folders of kernel modules that are left out, but for what other modules need, such as `drivers/media`. */
  excludedDrivers: string[]
  epoch: number
}

/** mksquashfs(1) options of a stored tree: little work, since it is read again on this machine only. */
const STORED_TREE = ['-comp', 'zstd', '-Xcompression-level', '1', '-no-progress', '-quiet', '-noappend']

/** Makes the tree in `scratch` (on the store's file system) and returns its squashfs. */
export async function packTree(
  request: TreeRequest,
  scratch: string,
  tools: ToolRunner,
  options: { signal?: AbortSignal; onLine?: (line: string) => void } = {},
): Promise<string> {
  const archive = join(scratch, 'archive')
  await writeArchive(request.suite, request.debs, archive)
  const folder = join(scratch, 'tree')
  const squashfs = join(scratch, 'tree.squashfs')
  const pack = tools.argv({
    tool: 'mksquashfs',
    args: [folder, squashfs, ...STORED_TREE, '-wildcards', '-e', 'dev/*'],
    binds: [{ path: scratch, write: true }],
    env: { SOURCE_DATE_EPOCH: String(request.epoch) },
  })
  await runInNamespace({
    path: packageFile('src/debian/tree.sh'),
    env: {
      SCRATCH: scratch,
      ARCHIVE: archive,
      SUITE: request.suite,
      PACKAGES: request.packages.join(','),
      EXCLUDES: request.excludes.join('\n'),
      EXCLUDED_DRIVERS: request.excludedDrivers.join('\n'),
      PACK: shellWords(pack),
      SOURCE_DATE_EPOCH: String(request.epoch),
    },
    tree: { folder, from: request.debs.map(({ path }) => path) },
    ...options,
  })
  return squashfs
}

/**
 * A folder that apt can install from (`copy:`), from the lock's own stanzas: no network, and no other version.
 * The Release file names the suite, since mmdebstrap takes what is essential from the suite that it was told.
 */
async function writeArchive(suite: string, debs: Deb[], folder: string): Promise<void> {
  await mkdir(folder)
  for (const { item, path } of debs) await link(path, join(folder, debFileName(item)))
  const stanzas = debs.map(({ item }) =>
    item.stanza.replace(/^Filename: .*$/m, `Filename: ./${debFileName(item)}`),
  )
  const index = stanzas.join('\n')
  const release = `Suite: ${suite}\nCodename: ${suite}\nSHA256:\n ${sha256(index)} ${Buffer.byteLength(index)} Packages\n`
  await writeFile(join(folder, 'Packages'), index)
  await writeFile(join(folder, 'Release'), release)
}

/** Unpacks .debs into `folder`, which is made: a tree to run tools from. */
export async function unpackToolsTree(debs: Deb[], folder: string, signal?: AbortSignal): Promise<void> {
  await mkdir(folder)
  await systemTools.run({
    tool: 'sh',
    args: ['-eu', packageFile('src/debian/unpack.sh'), ...debs.map((deb) => deb.path)],
    env: { TREE: folder },
    ...(signal ? { signal } : {}),
  })
}
