/**
 * A bill of materials as SPDX 2.3 JSON: the image, which contains the host and every guest, which contain packages.
 *
 * Spec: SPDX 2.3, clauses 6 (document), 7 (packages) and 11 (relationships). What is left out there means NOASSERTION.
 */
import { derivedUuid, type Json, type Sha256 } from '../base/digests.js'
import type { Manifest } from '../stick/manifest.js'
import { epochTime, type PackageComponent, type RootComponents } from './components.js'
import type { Artifact } from './reuse.js'

const DOCUMENT = 'SPDXRef-DOCUMENT'
const IMAGE = 'SPDXRef-image'

export function spdx(manifest: Manifest, image: Artifact, roots: RootComponents[]): Json {
  const { name, key, epoch, builder } = manifest
  return {
    spdxVersion: 'SPDX-2.3',
    dataLicense: 'CC0-1.0',
    SPDXID: DOCUMENT,
    name: manifest.image.file,
    documentNamespace: `https://spdx.org/spdxdocs/${name}-${derivedUuid('SPDX', key)}`,
    creationInfo: { created: epochTime(epoch), creators: [`Tool: keyvisor-${builder}`] },
    documentDescribes: [IMAGE],
    packages: [
      spdxPackage(IMAGE, manifest.image.file, 'FILE', image.sha256),
      ...roots.flatMap((root) => [rootPackage(root), ...root.packages.map((item) => debPackage(root, item))]),
    ],
    relationships: [
      relationship(DOCUMENT, 'DESCRIBES', IMAGE),
      ...roots.flatMap((root) => [
        relationship(IMAGE, 'CONTAINS', rootId(root)),
        ...root.packages.map((item) => relationship(rootId(root), 'CONTAINS', debId(root, item))),
      ]),
    ],
  }
}

function rootPackage(root: RootComponents): Json {
  const version = root.suite === null ? {} : { versionInfo: root.suite }
  return { ...spdxPackage(rootId(root), root.name, 'OPERATING-SYSTEM', null), ...version }
}

function debPackage(root: RootComponents, item: PackageComponent): Json {
  return {
    ...spdxPackage(debId(root, item), item.name, 'INSTALL', item.sha256),
    versionInfo: item.version,
    externalRefs: [
      { referenceCategory: 'PACKAGE-MANAGER', referenceType: 'purl', referenceLocator: item.purl },
    ],
  }
}

/** Files are not listed one by one (7.8): digests are of the image, or of the .deb (7.10). */
function spdxPackage(id: string, name: string, purpose: string, sha256: Sha256 | null): Record<string, Json> {
  return {
    SPDXID: id,
    name,
    primaryPackagePurpose: purpose,
    downloadLocation: 'NOASSERTION',
    filesAnalyzed: false,
    ...(sha256 === null ? {} : { checksums: [{ algorithm: 'SHA256', checksumValue: sha256 }] }),
  }
}

function relationship(from: string, type: string, to: string): Json {
  return { spdxElementId: from, relationshipType: type, relatedSpdxElement: to }
}

function rootId({ id }: RootComponents): string {
  return `SPDXRef-${id}`
}

/** Letters, digits, `.` and `-` alone (3.2); Debian's names have `+` beside them. */
function debId({ id }: RootComponents, { name, architecture }: PackageComponent): string {
  return `SPDXRef-${id}-${name.replaceAll('+', '-plus')}-${architecture}`
}
