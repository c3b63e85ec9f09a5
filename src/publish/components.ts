/**
 * Components: what is on a stick as bills of materials name it. The packages are dpkg's own list of each root.
 *
 * Left out: licences. Debian tells them in files of free form, and a guess would not be true.
 */

import type { Sha256 } from '../base/digests.js'
import { lookUp } from '../base/lookup.js'
import { guestPackages, type Prepared } from '../prepare/prepare.js'
import type { Manifest, ManifestPackage } from '../stick/manifest.js'

/** The host, or a guest. */
export interface RootComponents {
  /** `host`, or `guest-NAME`. */
  id: string
  name: string
  /** Suite of Debian; null where the root came as an image, of which nothing inside is known. */
  suite: string | null
  packages: PackageComponent[]
}

export interface PackageComponent extends ManifestPackage {
  /** Package URL. */
  purl: string
  /** Of the .deb that it was installed from; null where the lock has none of that version. */
  sha256: Sha256 | null
}

/** The host and every guest, in the profile's order. */
export function rootComponents(
  { plan, lock }: Pick<Prepared, 'plan' | 'lock'>,
  manifest: Manifest,
): RootComponents[] {
  const packages = (list: ManifestPackage[], suite: string) =>
    list.map((item) => ({
      ...item,
      purl: packageUrl(item, suite),
      sha256: lookUp(lock.packages, `${item.name}_${item.version}_${item.architecture}`)?.sha256 ?? null,
    }))
  const { suite, hostname } = plan.host
  const guest = ({ name, source }: Prepared['plan']['guests'][number]): RootComponents => {
    const asked = guestPackages({ source })
    if (!asked) return { id: `guest-${name}`, name, suite: null, packages: [] }
    const list = packages(lookUp(manifest.packages.guests, name) ?? [], asked.suite)
    return { id: `guest-${name}`, name, suite: asked.suite, packages: list }
  }
  const host = { id: 'host', name: hostname, suite, packages: packages(manifest.packages.host, suite) }
  return [host, ...plan.guests.map(guest)]
}

/** Spec: package-url, PURL-SPECIFICATION and the type `deb`; a colon stands as it is. */
export function packageUrl({ name, version, architecture }: ManifestPackage, suite: string): string {
  const encoded = (text: string) => encodeURIComponent(text).replaceAll('%3A', ':')
  return `pkg:deb/debian/${encoded(name)}@${encoded(version)}?arch=${encoded(architecture)}&distro=${encoded(suite)}`
}

/** The epoch as RFC 3339 has it, in whole seconds. */
export function epochTime(epoch: number): string {
  return new Date(epoch * 1000).toISOString().replace('.000Z', 'Z')
}
