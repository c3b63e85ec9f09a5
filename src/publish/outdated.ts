/**
 * Artifacts of an image that was replaced: they lie beside the new one under its name, and are of other bytes.
 *
 * They are told and not removed: what was published may be the only copy. Which names artifacts have is `publish.ts`'s
 * and `docs/artifacts.md`'s to say.
 */
import { readdir, readFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import type { Problem } from '../base/errors.js'
import type { Artifact } from './reuse.js'

const ENDINGS = [
  ...['.img.zst', '.img.xz', '.bmap', '.cdx.json', '.spdx.json', '.changes.md', '.provenance.json'],
  ...['.zip', '.tar'],
]
const SUMS = 'SHA256SUMS'

/**
 * A warning for each artifact of an earlier image `NAME.img` in a folder: none of those that were made now.
 *
 * @param folder as the user named it
 */
export async function outdatedArtifacts(folder: string, name: string, made: Artifact[]): Promise<Problem[]> {
  const fresh = new Set(made.map(({ path }) => basename(path)))
  const names = ENDINGS.map((ending) => `${name}${ending}`)
  if (await listsImage(join(folder, SUMS), name)) names.push(SUMS, `${SUMS}.minisig`)
  const there = new Set(await readdir(folder))
  return names
    .filter((file) => there.has(file) && !fresh.has(file))
    .map((file) => warning(join(folder, file)))
}

/** One folder may have the checksums of another stick. */
async function listsImage(sums: string, name: string): Promise<boolean> {
  const text = await readFile(sums, 'utf8').catch(() => '')
  return text.split('\n').some((line) => line.slice(66) === `${name}.img`)
}

function warning(file: string): Problem {
  return {
    ...{ code: 'outdated', severity: 'warning', file, path: '' },
    message: 'was made of an earlier image',
    hint: 'ask for it again (--artifacts, --bundle, --sign, --changes-from), or remove it',
  }
}
