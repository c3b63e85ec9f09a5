/**
 * Trees: Debian packages become a packed root tree (for a host or a guest) or an unpacked tools tree.
 *
 * Left out: what makes a tree a host or a guest; that is the business of those rooms.
 */

import { link, mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { type Sha256, sha256 } from '../base/digests.js'
import type { Keyed } from '../base/keyed.js'
import { packageFile } from '../base/package.js'
import { shellWords } from '../base/shell.js'
import { systemTools } from '../base/tool.js'
import { writeFile } from '../base/write-file.js'
import type { Room, StageDefinition, StageOutput, Workbench } from '../store/stage.js'
import { debFileName } from './apt.js'
import { runInNamespace } from './script.js'
import type { LockedPackage } from './types.js'

/** A pinned package and its checked .deb. */
export interface Deb {
  item: LockedPackage
  path: string
}

export interface TreeInputs {
  suite: string
  /** Names asked for, not the dependencies. */
  asked: string[]
  /** Every package of the set; versions in the key. */
  packages: Keyed<LockedPackage[]>
  /** Of all their bytes. */
  digest: Sha256
  /** Lines for dpkg.cfg(5): what is not unpacked at all. */
  excludes: string[]
  /** Folders of kernel modules that are left out, but for what other modules need, such as `drivers/media`. */
  drivers: string[]
  epoch: number
  /** Version of the builder's own mmdebstrap, the one tool that comes from no tree. */
  mmdebstrap: string
}

/** The stage that installs a set of packages into a tree, and packs that. */
export function treeStage(
  name: string,
  title: string,
  inputs: TreeInputs,
  room: Room,
): StageDefinition<TreeInputs, never> {
  return { name, title, program: 'debian/tree', inputs, reads: {}, room: () => room, make: makeTree }
}

/** mksquashfs(1) options of a stored tree: little work, since it is read again on this machine only. */
const STORED_TREE = ['-comp', 'zstd', '-Xcompression-level', '1', '-no-progress', '-quiet', '-noappend']

async function makeTree({ scratch, tools, ...bench }: Workbench, inputs: TreeInputs): Promise<StageOutput> {
  const packages = inputs.packages.value
  const paths = await bench.fetched(packages)
  await writeArchive(
    inputs.suite,
    packages.map((item, index) => ({ item, path: paths[index] as string })),
    join(scratch, 'archive'),
  )
  const folder = join(scratch, 'tree')
  const squashfs = join(scratch, 'tree.squashfs')
  const args = [folder, squashfs, ...STORED_TREE, '-wildcards', '-e', 'dev/*']
  await runInNamespace({
    path: packageFile('src/debian/tree.sh'),
    env: {
      SCRATCH: scratch,
      SUITE: inputs.suite,
      PACKAGES: inputs.asked.join(','),
      EXCLUDES: inputs.excludes.join('\n'),
      EXCLUDED_DRIVERS: inputs.drivers.join('\n'),
      PACK: shellWords(tools.argv({ tool: 'mksquashfs', args })),
      SOURCE_DATE_EPOCH: String(inputs.epoch),
    },
    tree: { folder, from: paths },
    onLine: bench.note,
    signal: bench.signal,
  })
  return { files: { tree: squashfs } }
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
