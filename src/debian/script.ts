/**
 * Scripts that work on a root tree, in the namespace of `base/namespace.ts`: what is packed inside has the owners and file
 * capabilities of the tree as the stick sees them, whoever builds.
 */
import { stat } from 'node:fs/promises'
import { freemem } from 'node:os'
import { basename } from 'node:path'
import { unshared } from '../base/namespace.js'
import { signalOf } from '../base/tool.js'
import { childKilled, lastWords, ToolError } from '../base/tool-errors.js'
import type { Bytes } from '../base/units.js'

export interface Script {
  /** The script, run by sh(1); its name stands in errors. */
  path: string
  env: Record<string, string>
  /** A folder to be filled with a tree, from these files. It is made and emptied here; the script gets it as `TREE`. */
  tree: { folder: string; from: readonly string[] }
  onLine?: (line: string) => void
  signal?: AbortSignal
}

/** Bytes of a tree for each byte that it is made of: Debian's packages unpack to four times their size, and apt copies them. */
const UNPACKED = 6

/**
 * Bytes that a tree in memory may take; 0 where it had better lie on the disk. A tree is written and read again at
 * once, in small pieces: memory halves the time, where other work still has enough of it.
 */
export function memoryFor(packed: Bytes, available = availableMemory()): Bytes {
  const tree = packed * UNPACKED
  return available >= 3 * tree ? 2 * tree : 0
}

/** Also of a container that is given less than the machine has; Node 20 knows since 20.13. */
function availableMemory(): Bytes {
  return process.availableMemory?.() ?? freemem()
}

/**
 * Modes of what a script makes must not depend on the builder's habits. The tree goes at once, one in memory with the
 * namespace: what the caller does next may need its room.
 */
const PRELUDE = `umask 022
mkdir "$TREE"
[ "$MEMORY" = 0 ] || mount -t tmpfs -o "mode=755,size=$MEMORY" tree "$TREE"
. "$0"
[ "$MEMORY" != 0 ] || find "$TREE" -mindepth 1 -delete`

/** Runs a script in the namespace. Throws `namespace-refused`, with what to do, where the machine forbids it. */
export async function runInNamespace({ path, env, tree, ...rest }: Script): Promise<void> {
  const sizes = await Promise.all(tree.from.map(async (file) => (await stat(file)).size))
  const memory = memoryFor(sizes.reduce((sum, size) => sum + size, 0))
  const given = { ...env, TREE: tree.folder, MEMORY: String(memory) }
  await unshared(['sh', '-euc', PRELUDE, path], { ...rest, env: given }).catch((error) => {
    throw scriptError(error, path, tree.folder)
  })
}

/** A script that failed, without its text: the last words of the tools in it say what went wrong, or a signal that ended one. */
function scriptError(thrown: unknown, path: string, folder: string): unknown {
  if (!(thrown instanceof ToolError)) return thrown
  const ended = signalOf(thrown.status ?? 0)
  const error = ended === undefined ? thrown : childKilled(thrown, ended)
  const [first = ''] = error.message.split('\n')
  const reason = first.replace(/^unshare /, `${basename(path)} `)
  const words = lastWords(error).map((line) => `  | ${line}`)
  const { code, hint, status, signal } = error
  return new ToolError(code, [`${reason}, at work in ${folder}`, ...words].join('\n'), {
    ...(hint === undefined ? {} : { hint }),
    ...(status === undefined ? {} : { status }),
    ...(signal === undefined ? {} : { signal }),
    cause: error,
  })
}
