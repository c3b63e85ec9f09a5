/**
 * Tools trees: the programs that make an image's bytes, or boot it, unpacked from pinned Debian packages.
 *
 * A tree is unpacked once per set of packages and shared. `KEYVISOR_TOOLS=system` uses the machine's own programs.
 */

import { existsSync, readdirSync } from 'node:fs'
import { rename } from 'node:fs/promises'
import { join } from 'node:path'
import type { Sha256 } from '../base/digests.js'
import { onDisk } from '../base/file-errors.js'
import { step } from '../base/progress.js'
import { systemTools, type ToolRunner, treeTools } from '../base/tool.js'
import type { Deb } from '../debian/tree.js'
import { unpackToolsTree } from '../debian/tree.js'
import { type DebSource, fetchDebs, lockedDebs, lockedPaths } from '../lock/fetch.js'
import { isSealed, sealTree, treeDigestFile } from '../store/seal.js'
import { storeFolder, touch } from '../store/store.js'
import type { Workplace } from '../store/workplace.js'

/** True when the user asked for the machine's own programs. */
export function usesSystemTools(env: NodeJS.ProcessEnv = process.env): boolean {
  return env['KEYVISOR_TOOLS'] === 'system'
}

/** The runner for a tree of these packages, made in the store where it is not there yet, or is damaged. */
export async function toolsTree(
  place: Workplace,
  name: string,
  key: string,
  debs: () => Promise<Deb[]>,
): Promise<ToolRunner> {
  if (usesSystemTools()) return endedWith(systemTools, place)
  const tree = place.store.treePath(key)
  const whole = existsSync(tree) && (await isSealed(tree)) && (await touch(treeDigestFile(tree)))
  if (!whole) {
    const packages = await debs()
    const title = `unpack ${packages.length} packages of tools`
    await onDisk(title, () => makeTree(place, name, title, tree, packages), place.store.folder)
  }
  return endedWith(treeTools(tree), place)
}

/** What the stages of a build need of a lock: every package in the store, and the tools that pack. */
export async function buildTools(
  source: DebSource,
  key: string,
  place: Workplace,
): Promise<{ tools: ToolRunner; fetched(items: readonly { sha256: Sha256 }[]): Promise<string[]> }> {
  // All sets, also what only artifacts need: a later build without network has everything.
  await fetchDebs(source, Object.keys(source.lock.sets), place)
  const packages = async () => (await lockedDebs(source, ['tools.pack'], place))['tools.pack'] ?? []
  const tools = await toolsTree(place, 'tools', key, packages)
  return { tools, fetched: (items) => lockedPaths(source, items, place) }
}

/** The same tools, each ended when the build is, wherever it was called. */
function endedWith(tools: ToolRunner, { signal }: Workplace): ToolRunner {
  if (!signal) return tools
  return { argv: (call) => tools.argv(call), run: (call) => tools.run({ signal, ...call }) }
}

async function makeTree(
  place: Workplace,
  name: string,
  title: string,
  tree: string,
  debs: Deb[],
): Promise<void> {
  const makeIn = async (scratch: string) => {
    const made = join(scratch, 'tree')
    await unpackToolsTree(debs, made, place.signal)
    await sealTree(made)
    // A damaged one that stands in the way goes with the scratch.
    if (existsSync(tree) && !(await isSealed(tree))) await rename(tree, join(scratch, 'damaged'))
    // A build that made the same tree in the meantime has made the same files.
    await rename(made, tree).catch((error) => {
      if (!existsSync(tree)) throw error
    })
  }
  await step(place.progress, { stage: name, title }, () => place.store.inScratch(name, makeIn))
}

/** What two images are compared with. */
const DIFF_TOOLS = ['unsquashfs', 'prlimit']

/**
 * The runner for comparing images: nothing is fetched or unpacked for that. A tree that a build left in the store, else
 * the machine's own tools: unpackers have much to fear from a hostile image, and in a tree they see nothing else.
 */
export function diffTools(): ToolRunner {
  return (usesSystemTools() ? undefined : treeWith(DIFF_TOOLS)) ?? systemTools
}

/** A tree of the store that has these programs. */
function treeWith(programs: readonly string[]): ToolRunner | undefined {
  const trees = join(storeFolder(), 'trees')
  const names = existsSync(trees) ? readdirSync(trees) : []
  const has = (tree: string, program: string) =>
    ['usr/bin', 'usr/sbin'].some((folder) => existsSync(join(tree, folder, program)))
  const tree = names
    .map((name) => join(trees, name))
    .find((path) => programs.every((program) => has(path, program)))
  return tree === undefined ? undefined : treeTools(tree)
}
