/**
 * Real builds for tests: from the shared store, into out/test.
 */
import { join } from 'node:path'
import { packageFile } from '../../src/base/package.js'
import type { ProgressEvent } from '../../src/base/progress.js'
import { systemTools } from '../../src/base/tool.js'
import { type BuildResult, buildImage } from '../../src/pipeline/build.js'
import type { ManifestPackage } from '../../src/stick/manifest.js'
import { Store, storeFolder } from '../../src/store/store.js'

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

/** A package as one line, which both sides of a comparison are made of. */
export const packageLine = ({ name, version, architecture }: ManifestPackage) =>
  `${name} ${version} ${architecture}`

/** What dpkg itself says of a root whose folder `/var/lib/dpkg` is `admin`, sorted. */
export async function dpkgLines(admin: string): Promise<string[]> {
  const format = `${['Package', 'Version', 'Architecture'].map((field) => `\${${field}}`).join(' ')}\\n`
  const args = ['--admindir', admin, '-W', '-f', format]
  const { stdout } = await systemTools.run({ tool: 'dpkg-query', args })
  return stdout.trim().split('\n').sort()
}
