/**
 * Tools trees: the programs that make an image's bytes, or boot it, unpacked from pinned Debian packages.
 *
 * A tree is unpacked once per set of packages and shared. `KEYVISOR_TOOLS=system` uses the machine's own programs.
 */
import { existsSync, readdirSync } from 'node:fs'
import { rename } from 'node:fs/promises'
import { join } from 'node:path'
import { systemTools, type ToolRunner, treeTools, which } from '../base/tool.js'
import { removeScratch } from '../debian/namespace.js'
import type { Deb } from '../debian/tree.js'
import { unpackToolsTree } from '../debian/tree.js'
import type { StageRun } from './stage.js'
import { storeFolder } from './store.js'

/** True when the user asked for the machine's own programs. */
export function usesSystemTools(env: NodeJS.ProcessEnv = process.env): boolean {
  return env['KEYVISOR_TOOLS'] === 'system'
}

/** The runner for a tree of these packages, made in the store where it is not there yet. */
export async function toolsTree(
  run: StageRun,
  name: string,
  key: string,
  debs: () => Promise<Deb[]>,
): Promise<ToolRunner> {
  if (usesSystemTools()) return endedWith(systemTools, run)
  const tree = run.store.treePath(key)
  if (!existsSync(tree)) await makeTree(run, name, tree, await debs())
  return endedWith(treeTools(tree), run)
}

/** The same tools, each ended when the build is, wherever it was called. */
function endedWith(tools: ToolRunner, { signal }: StageRun): ToolRunner {
  if (!signal) return tools
  return { argv: (call) => tools.argv(call), run: (call) => tools.run({ signal, ...call }) }
}

async function makeTree(run: StageRun, name: string, tree: string, debs: Deb[]): Promise<void> {
  const started = Date.now()
  run.progress({ kind: 'start', stage: name, title: `unpack ${debs.length} packages of tools` })
  const scratch = await run.store.scratch(name)
  try {
    await unpackToolsTree(debs, join(scratch, 'tree'), run.signal)
    // A build that made the same tree in the meantime has made the same files.
    await rename(join(scratch, 'tree'), tree).catch((error) => {
      if (!existsSync(tree)) throw error
    })
  } finally {
    await removeScratch(scratch)
  }
  run.progress({ kind: 'end', stage: name, seconds: (Date.now() - started) / 1000, reused: false })
}

/** What an image is looked into with: the one tool that reading a manifest from a FAT takes. */
const INSPECTION_TOOL = 'mtype'

/**
 * The runner for looking into an image: nothing is fetched or unpacked for that. A tree that a build left in the
 * store, else the machine's own tools.
 */
export function inspectionTools(): ToolRunner {
  if (usesSystemTools() || which(INSPECTION_TOOL)) return systemTools
  const trees = join(storeFolder(), 'trees')
  const names = existsSync(trees) ? readdirSync(trees) : []
  const tree = names
    .map((name) => join(trees, name))
    .find((path) => existsSync(join(path, 'usr/bin', INSPECTION_TOOL)))
  return tree === undefined ? systemTools : treeTools(tree)
}
