/**
 * The digest of Keyvisor itself: of every file that runs, or is laid into an image, as it is installed.
 *
 * It is in the key of every stage, since the text of our TypeScript decides bytes as our scripts do. It tells of files by
 * their paths in the package and their bytes alone: not of where that lies, of times, modes or the order of folders.
 * Left out: our dependencies, whose versions are fixed.
 */
import { lstat, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { canonicalJson, type Sha256, sha256 } from '../base/digests.js'
import { namesBelow } from '../base/list-tree.js'
import { packageFile } from '../base/package.js'

/** Folders of the package, and the form of their files that run: what tsc emitted, and what it leaves alone. */
const PARTS: [folder: string, form: RegExp][] = [
  ['dist', /\.js$/],
  ...['src/debian', 'src/sources', 'src/host'].map((folder): [string, RegExp] => [folder, /(?<!\.ts)$/]),
]

let known: Promise<Sha256> | undefined

/** The digest of the program that runs; read once in a process. */
export function programDigest(): Promise<Sha256> {
  known ??= digestProgram(packageFile('.'))
  return known
}

/** The digest of the program that is installed in a folder. */
export async function digestProgram(root: string): Promise<Sha256> {
  const paths = (await Promise.all(PARTS.map(([folder, form]) => filesOf(root, folder, form)))).flat()
  const files = paths.map(async (path) => [path, sha256(await readFile(join(root, path)))])
  return sha256(canonicalJson(Object.fromEntries(await Promise.all(files))))
}

async function filesOf(root: string, folder: string, form: RegExp): Promise<string[]> {
  const names = (await namesBelow(join(root, folder))).filter((name) => form.test(name))
  const areFiles = await Promise.all(
    names.map(async (name) => (await lstat(join(root, folder, name))).isFile()),
  )
  return names.filter((_, index) => areFiles[index]).map((name) => `${folder}/${name}`)
}
