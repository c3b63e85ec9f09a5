/**
 * A bill of materials as CycloneDX 1.6 JSON: the image, in it the host and every guest, in those their packages.
 *
 * Spec: ECMA-424, and `bom-1.6.schema.json`.
 */
import { derivedUuid, type Json } from '../base/digests.js'
import type { Manifest } from '../stick/manifest.js'
import { epochTime, type PackageComponent, type RootComponents } from './components.js'
import type { Artifact } from './reuse.js'

export function cyclonedx(manifest: Manifest, image: Artifact, roots: RootComponents[]): Json {
  const { key, epoch, builder } = manifest
  return {
    $schema: 'http://cyclonedx.org/schema/bom-1.6.schema.json',
    bomFormat: 'CycloneDX',
    specVersion: '1.6',
    serialNumber: `urn:uuid:${derivedUuid('CycloneDX', key)}`,
    version: 1,
    metadata: {
      timestamp: epochTime(epoch),
      tools: { components: [{ type: 'application', name: 'keyvisor', version: builder }] },
      component: {
        type: 'file',
        'bom-ref': 'image',
        name: manifest.image.file,
        hashes: [{ alg: 'SHA-256', content: image.sha256 }],
      },
    },
    components: roots.map(rootComponent),
    dependencies: [
      { ref: 'image', dependsOn: roots.map(({ id }) => id) },
      ...roots.map(({ id, packages }) => ({
        ref: id,
        dependsOn: packages.map((item) => reference(id, item)),
      })),
    ],
    compositions: roots.map(({ id, suite }) => ({
      aggregate: suite === null ? 'unknown' : 'complete',
      assemblies: [id],
    })),
  }
}

function rootComponent({ id, name, suite, packages }: RootComponents): Json {
  return {
    type: 'operating-system',
    'bom-ref': id,
    name,
    ...(suite === null ? {} : { version: suite }),
    components: packages.map((item) => ({
      type: 'library',
      'bom-ref': reference(id, item),
      name: item.name,
      version: item.version,
      purl: item.purl,
      ...(item.sha256 === null ? {} : { hashes: [{ alg: 'SHA-256', content: item.sha256 }] }),
    })),
  }
}

/** The same package may be in several roots. */
function reference(root: string, { name, architecture }: PackageComponent): string {
  return `${root}/${name}:${architecture}`
}
