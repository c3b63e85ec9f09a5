/**
 * The digest of an unpacked tree: a file of its own in the tree's top folder, which came there with the tree.
 *
 * It covers names, kinds, permissions, links and bytes. Left out: owners and times, which are the builder's own.
 */
import { createHash } from 'node:crypto'
import { lstat, readFile, readlink } from 'node:fs/promises'
import { join } from 'node:path'
import { canonicalJson, type Sha256, sha256 } from '../base/digests.js'
import { isAbsent, isLost } from '../base/file-errors.js'
import { namesBelow } from '../base/list-tree.js'
import { limited } from '../base/parallel.js'
import { writeFile } from '../base/write-file.js'

/** Not a part of what it covers. Its mtime is when the tree was used last. */
const DIGEST_FILE = 'digest'

/** Files that are read at the same time. */
const PARALLEL = 8

export function treeDigestFile(tree: string): string {
  return join(tree, DIGEST_FILE)
}

/** Computes the digest of a tree and leaves it there. */
export async function sealTree(tree: string): Promise<void> {
  await writeFile(treeDigestFile(tree), `${await treeDigest(tree)}\n`)
}

/** True when a tree is, byte for byte, what it was when it was sealed. */
export async function isSealed(tree: string): Promise<boolean> {
  const digest = await readFile(treeDigestFile(tree), 'utf8').catch(nothing)
  return digest !== '' && digest === `${await treeDigest(tree).catch(nothing)}\n`
}

/** What is gone or lost has no digest; what hinders us from reading says nothing about the tree. */
function nothing(error: unknown): string {
  if (isAbsent(error) || isLost(error)) return ''
  throw error
}

async function treeDigest(tree: string): Promise<Sha256> {
  const names = (await namesBelow(tree)).filter((name) => name !== DIGEST_FILE)
  const slot = limited(PARALLEL)
  const lines = await Promise.all(names.map((name) => slot(() => entryLine(tree, name))))
  const hash = createHash('sha256')
  for (const line of lines) hash.update(line)
  return hash.digest('hex')
}

async function entryLine(tree: string, name: string): Promise<string> {
  const path = join(tree, name)
  const found = await lstat(path)
  const mode = found.mode & 0o7777
  if (found.isSymbolicLink()) return line({ name, link: await readlink(path) })
  if (found.isDirectory()) return line({ name, mode })
  return line({ name, mode, sha256: sha256(await readFile(path)) })
}

function line(entry: Record<string, string | number>): string {
  return `${canonicalJson(entry)}\n`
}
