/**
 * What manifests tell of the difference between two images. They come from outside: any member may be missing, or of
 * another type.
 */
import type { Json } from '../base/digests.js'
import { KeyvisorError } from '../base/errors.js'
import { isAbsent } from '../base/file-errors.js'
import { openUserFile, readUserText } from '../base/user-file.js'
import { changesOf, type Difference } from './compare.js'
import { inspectImage } from './inspect.js'
import { packageDifferences } from './packages.js'

/**
 * True for a file that begins as JSON does: an image begins with boot code. Throws `not-a-file`; what cannot be opened
 * is nothing of the kind, and who opens it next says why.
 */
export async function isManifest(path: string): Promise<boolean> {
  const file = await openUserFile(path).catch((error) => {
    if (error instanceof KeyvisorError) throw error
    return undefined
  })
  if (!file) return false
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(16), 0, 16, 0).catch(() => ({
      buffer: Buffer.alloc(0),
      bytesRead: 0,
    }))
    return /^\s*\{/.test(buffer.toString('latin1', 0, bytesRead))
  } finally {
    await file.close()
  }
}

/** The manifest that `build` wrote beside an image; null where there is none. Rejects where the disk does not give it. */
export async function readBeside(image: string): Promise<Json> {
  return readManifest(image.replace(/\.img$/, '.manifest.json')).catch((error) => {
    if (error instanceof KeyvisorError || isAbsent(error)) return null
    throw error
  })
}

async function readManifest(path: string): Promise<Json> {
  const text = await readUserText(path)
  try {
    return JSON.parse(text) as Json
  } catch (cause) {
    throw new KeyvisorError('not-a-manifest', `${path} is no manifest: ${(cause as Error).message}`, {
      hint: 'name an image or a manifest that `keyvisor build` wrote',
      cause,
    })
  }
}

/** How two manifests differ; of an image it is the one beside it, else the one on its ESP. */
export async function manifestDifferences(a: string, b: string): Promise<Difference[]> {
  const manifestOf = async (path: string): Promise<Json> => {
    if (await isManifest(path)) return readManifest(path)
    return (await readBeside(path)) ?? (await inspectImage(path)).manifest
  }
  const [one, other] = [await manifestOf(a), await manifestOf(b)]
  return [
    ...changesOf('manifest', withoutPackages(one), withoutPackages(other)),
    ...packageDifferences(one, other),
  ]
}

function withoutPackages(manifest: Json): Json {
  if (manifest === null || typeof manifest !== 'object' || Array.isArray(manifest)) return manifest
  const { packages: _, ...rest } = manifest
  return rest
}
