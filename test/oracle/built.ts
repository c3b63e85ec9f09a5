/**
 * Real builds for tests: from the shared store, into out/test.
 */
import { join } from 'node:path'
import type { ProgressEvent } from '../../src/base/progress.js'
import { type BuildResult, buildImage } from '../../src/build/build.js'
import { Store, storeFolder } from '../../src/build/store.js'
import { packageFile } from '../../src/debian/namespace.js'

export const OUT = packageFile('out/test')

/** Builds a profile of profiles/; what the store has is not made again. */
export async function built(
  name: string,
  onEvent: (event: ProgressEvent) => void = () => {},
): Promise<BuildResult> {
  const store = await Store.open(storeFolder())
  const profile = packageFile(join('profiles', `${name}.yaml`))
  return buildImage({ profile, out: OUT }, { store, progress: onEvent })
}
