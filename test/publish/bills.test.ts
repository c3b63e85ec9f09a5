/** Texts about a build: bills of materials, provenance, changes. Other people's checkers see them in test/oracle. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { sha256 } from '../../src/base/digests.js'
import { GiB, MiB } from '../../src/base/units.js'
import type { LockedPackage } from '../../src/debian/types.js'
import type { Lock } from '../../src/lock/types.js'
import type { Plan } from '../../src/plan/types.js'
import {
  type Compared,
  changesText,
  packageDifferences,
  readEarlierManifest,
} from '../../src/publish/changes.js'
import { epochTime, packageUrl, rootComponents } from '../../src/publish/components.js'
import { cyclonedx } from '../../src/publish/cyclonedx.js'
import { provenance } from '../../src/publish/provenance.js'
import { spdx } from '../../src/publish/spdx.js'
import { MANIFEST_VERSION, type Manifest, type ManifestPackage } from '../../src/stick/manifest.js'

const deb = (name: string, version: string, architecture = 'amd64'): ManifestPackage => ({
  name,
  version,
  architecture,
})
const locked = (item: ManifestPackage) => ({ ...item, sha256: sha256(item.name) }) as LockedPackage
const id = ({ name, version, architecture }: ManifestPackage) => `${name}_${version}_${architecture}`

const HOST = [deb('libstdc++6', '14.2.0-19'), deb('tzdata', '2025b-4', 'all'), deb('passwd', '1:4.17.4-2')]
const WEB = [deb('busybox', '1:1.37.0-6+b3'), deb('unlocked', '1')]

const lock = {
  asked: [
    { set: 'tools.pack', suite: 'trixie', architecture: 'amd64', packages: [] },
    { set: 'host', suite: 'trixie', architecture: 'amd64', packages: [] },
    { set: 'guest.web', suite: 'bookworm', architecture: 'amd64', packages: [] },
  ],
  packages: Object.fromEntries(
    [...HOST, WEB[0] as ManifestPackage, deb('mtools', '4')].map((item) => [id(item), locked(item)]),
  ),
  sets: {
    'tools.pack': ['mtools_4_amd64'],
    host: HOST.map(id),
    'guest.web': [id(WEB[0] as ManifestPackage), id(HOST[1] as ManifestPackage)],
  } as Record<string, string[]>,
  files: { 'guest.box/disk0': { sha256: sha256('box'), size: 1 } },
} as unknown as Lock

const plan = {
  host: { suite: 'trixie', hostname: 'stick' },
  guests: [
    { name: 'web', source: { kind: 'debian', suite: 'bookworm' }, images: {} },
    { name: 'box', source: { kind: 'image' }, images: {} },
  ],
} as Plan

const manifest = {
  version: MANIFEST_VERSION,
  name: 'demo',
  builder: '0.1.0',
  epoch: 1_764_201_600,
  key: sha256('key'),
  image: { file: 'demo.img', size: 2 * GiB, smallestStick: 3 * GiB },
  architecture: 'amd64',
  slots: { a: { size: 100 * MiB }, b: null },
  library: { size: 200 * MiB },
  guests: [
    { name: 'web', drives: [{ kind: 'overlay', base: sha256('web') }] },
    { name: 'box', drives: [{ kind: 'overlay', base: sha256('box') }] },
  ],
  packages: { host: HOST, guests: { web: WEB, box: [] } },
} as unknown as Manifest

const image = { path: '/out/demo.img', sha256: sha256('image'), size: 2 * GiB }
const roots = rootComponents({ plan, lock }, manifest)

t.test('package URLs', async (t) => {
  const [cxx, tz, passwd] = HOST as [ManifestPackage, ManifestPackage, ManifestPackage]
  t.equal(packageUrl(cxx, 'trixie'), 'pkg:deb/debian/libstdc%2B%2B6@14.2.0-19?arch=amd64&distro=trixie')
  t.equal(packageUrl(tz, 'trixie'), 'pkg:deb/debian/tzdata@2025b-4?arch=all&distro=trixie')
  t.equal(packageUrl(passwd, 'trixie'), 'pkg:deb/debian/passwd@1:4.17.4-2?arch=amd64&distro=trixie')
})

t.test(
  'roots have the packages of the manifest, with the digests of the lock where it has them',
  async (t) => {
    t.strictSame(
      roots.map(({ id, suite, packages }) => [id, suite, packages.map(({ name }) => name)]),
      [
        ['host', 'trixie', ['libstdc++6', 'tzdata', 'passwd']],
        ['guest-web', 'bookworm', ['busybox', 'unlocked']],
        ['guest-box', null, []],
      ],
    )
    t.strictSame(
      roots[1]?.packages.map((item) => item.sha256),
      [sha256('busybox'), null],
    )
  },
)

t.test('the time is the epoch', async (t) => {
  t.equal(epochTime(1_764_201_600), '2025-11-27T00:00:00Z')
})

t.test('CycloneDX: every root with its packages; of an image it is not known what is in it', async (t) => {
  const bom = cyclonedx(manifest, image, roots)
  t.match(bom, {
    specVersion: '1.6',
    metadata: { timestamp: '2025-11-27T00:00:00Z', component: { name: 'demo.img' } },
    components: [{ name: 'stick' }, { name: 'web' }, { name: 'box', components: [] }],
    compositions: [
      { aggregate: 'complete' },
      { aggregate: 'complete' },
      { aggregate: 'unknown', assemblies: ['guest-box'] },
    ],
  })
  t.strictSame(cyclonedx(manifest, image, roots), bom)
})

t.test('SPDX: names of elements are unique and of its letters', async (t) => {
  const document = spdx(manifest, image, roots) as { packages: { SPDXID: string }[]; relationships: object[] }
  const ids = document.packages.map(({ SPDXID }) => SPDXID)
  t.equal(new Set(ids).size, 1 + 3 + 5)
  for (const one of ids) t.match(one, /^SPDXRef-[A-Za-z0-9.-]+$/)
  t.equal(document.relationships.length, ids.length, 'each is contained in something')
})

t.test('provenance: each locked input once, with its digest, and nothing of here and now', async (t) => {
  const inputs = {
    profile: { path: '/home/me/demo.yaml', sha256: sha256('p') },
    lockFile: { path: '/home/me/demo.lock.json', sha256: sha256('l') },
  }
  const statement = provenance({ manifest, lock, ...inputs, subjects: [image] })
  t.match(statement, {
    subject: [{ name: 'demo.img', digest: { sha256: image.sha256 } }],
    predicate: { buildDefinition: { externalParameters: { profile: { name: 'demo.yaml' } } } },
  })
  const text = JSON.stringify(statement)
  t.notMatch(text, '/home/me')
  const found = [...text.matchAll(/"uri":"([^"]+)","digest":\{"sha256":"(\w+)"\}/g)].map(([, uri]) => uri)
  t.strictSame(found, [
    'pkg:deb/debian/busybox@1:1.37.0-6%2Bb3?arch=amd64&distro=bookworm',
    'pkg:deb/debian/libstdc%2B%2B6@14.2.0-19?arch=amd64&distro=trixie',
    'pkg:deb/debian/mtools@4?arch=amd64&distro=trixie',
    'pkg:deb/debian/passwd@1:4.17.4-2?arch=amd64&distro=trixie',
    'pkg:deb/debian/tzdata@2025b-4?arch=all&distro=bookworm',
    'pkg:deb/debian/tzdata@2025b-4?arch=all&distro=trixie',
  ])
  t.match(text, 'guest.box/disk0')
})

t.test('packages that went up, down, came and went', async (t) => {
  const before = [
    deb('a', '1.0-1'),
    deb('b', '2~rc1-1'),
    deb('c', '1:1-1'),
    deb('d', '1'),
    deb('e', '1'),
    deb('e', '1', 'i386'),
  ]
  const now = [deb('a', '1.0-2'), deb('b', '2-1'), deb('c', '9-1'), deb('e', '1'), deb('f', '1')]
  t.strictSame(packageDifferences(before, now, 'amd64'), [
    { name: 'a', change: 'up', before: '1.0-1', now: '1.0-2' },
    { name: 'b', change: 'up', before: '2~rc1-1', now: '2-1' },
    { name: 'c', change: 'down', before: '1:1-1', now: '9-1' },
    { name: 'd', change: 'gone', before: '1', now: '' },
    { name: 'e:i386', change: 'gone', before: '1', now: '' },
    { name: 'f', change: 'new', before: '', now: '1' },
  ])
})

t.test('changes as Markdown', async (t) => {
  const before: Compared = {
    ...structuredClone(manifest),
    epoch: manifest.epoch - 86_400,
    guests: [
      { name: 'web', drives: [{ kind: 'cdrom', base: sha256('older') }] },
      { name: 'old', drives: [{ kind: 'cdrom', base: sha256('old') }] },
    ],
    packages: { host: [deb('libstdc++6', '14.2.0-18')], guests: { web: WEB } },
    library: { size: 100 * MiB },
  }
  const text = changesText(before, manifest)
  for (const line of [
    '# Changes of demo',
    '| package indexes of | 2025-11-26 | 2025-11-27 |',
    '| library | 100MiB | 200MiB |',
    '| web | another base image: what a stick has kept of it belongs to the old one |',
    '| box | new |',
    '| old | gone |',
    '| libstdc++6 | up | 14.2.0-18 | 14.2.0-19 |',
    '| tzdata | new |  | 2025b-4 |',
    '## Packages of guest web\n\nThe same, in the same versions.',
  ])
    t.ok(text.includes(line), line)
})

t.test('an earlier manifest is read, and anything else refused', async (t) => {
  const path = join(t.testdir(), 'old.json')
  writeFileSync(path, JSON.stringify(manifest))
  t.match(await readEarlierManifest(path), { name: 'demo', epoch: manifest.epoch })
  const changed = (change: (copy: Manifest) => void) => {
    const copy = structuredClone(manifest)
    change(copy)
    return JSON.stringify(copy)
  }
  for (const text of [
    '',
    '{}',
    'null',
    '[]',
    readFileSync(path, 'utf8').slice(0, 100),
    changed((copy) => void copy.packages.host.push(deb('a|b', '1'))),
    changed((copy) => void copy.packages.host.push(deb('a', '\u001b[2J'))),
    changed((copy) => void Object.assign(copy.image, { size: -1 })),
    changed((copy) => void Object.assign(copy, { guests: [null] })),
  ]) {
    writeFileSync(path, text)
    await t.rejects(readEarlierManifest(path), { code: 'manifest-unusable' }, text.slice(0, 40))
  }
  for (const version of [1, 3, 5]) {
    writeFileSync(path, JSON.stringify({ ...manifest, version, guests: [{ name: 'web', base: 'ab' }] }))
    await t.rejects(readEarlierManifest(path), {
      code: 'manifest-unusable',
      message: `the earlier manifest ${path} is of version ${version}, and this Keyvisor reads version 4`,
    })
  }
  await t.rejects(readEarlierManifest('/nowhere.json'), {
    code: 'manifest-unusable',
    message: /cannot be read/,
  })
})
