/**
 * Artifacts of an image that was replaced: they lie beside the new one under its name, and are of other bytes.
 *
 * They are told and not removed: what was published may be the only copy. Which names artifacts have is `publish.ts`'s
 * and `docs/artifacts.md`'s to say.
 */
import { readdir, readFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import type { Problem } from '../base/errors.js'
import { errorWords, isAbsent } from '../base/file-errors.js'
import type { Artifact } from './reuse.js'

const ENDINGS = [
  '.img.zst',
  '.img.xz',
  '.bmap',
  '.cdx.json',
  '.spdx.json',
  '.changes.md',
  '.provenance.json',
  '.zip',
  '.tar',
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
  const sums = await aboutSums(join(folder, SUMS), name)
  if (sums !== undefined) names.push(SUMS, `${SUMS}.minisig`)
  const there = new Set(await readdir(folder))
  return names
    .filter((file) => there.has(file) && !fresh.has(file))
    .map((file) => warning(join(folder, file), (file.startsWith(SUMS) && sums) || EARLIER))
}

const EARLIER = 'was made of an earlier image'

/** What is wrong with the checksums; undefined where they are of another stick, which one folder may have. */
async function aboutSums(sums: string, name: string): Promise<string | undefined> {
  try {
    const lines = (await readFile(sums, 'utf8')).split('\n')
    return lines.some((line) => line.slice(66) === `${name}.img`) ? EARLIER : undefined
  } catch (error) {
    return isAbsent(error)
      ? undefined
      : `may be of an earlier image, and cannot be read: ${errorWords(error)}`
  }
}

function warning(file: string, message: string): Problem {
  return {
    code: 'outdated',
    severity: 'warning',
    file,
    path: '',
    message,
    hint: 'ask for it again (--artifacts, --bundle, --sign, --changes-from), or remove it',
  }
}
