/**
 * Everything below a folder, links never followed.
 */
import { readdir } from 'node:fs/promises'
import { join, relative } from 'node:path'

/**
 * Paths below `folder`, relative to it, sorted by code unit. Rejects with the errors of readdir(3).
 *
 * Without `withFileTypes`, Node's recursive readdir goes on behind links to folders: from an unpacked tree's into the
 * machine's own.
 */
export async function namesBelow(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  return entries.map(({ parentPath, name }) => relative(folder, join(parentPath, name))).sort()
}
