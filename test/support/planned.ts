/** A plan with a guest of each kind, and its lock, for tests of the stages that come of them. */
import { Keyed } from '../../src/base/keyed.js'
import { MiB } from '../../src/base/units.js'
import type { LaidFiles } from '../../src/debian/files.js'
import type { LockedPackage } from '../../src/debian/types.js'
import type { Lock } from '../../src/lock/types.js'
import type { BuildFacts } from '../../src/pipeline/stages.js'
import { makePlan } from '../../src/plan/plan.js'
import type { Secrets } from '../../src/plan/secrets.js'
import type { ReadImage } from '../../src/sources/image/source.js'
import type { Profile } from '../../src/yaml/profile.gen.js'

/** Two guests with the same packages, one with others, one from an image with more of them. */
export const profile: Profile = {
  version: 1,
  name: 'demo',
  guests: [
    { name: 'web', source: { debian: { packages: ['busybox'] } } },
    { name: 'twin', source: { debian: { packages: ['busybox'] } } },
    { name: 'other', source: { debian: { packages: ['nano'] } } },
    {
      name: 'box',
      source: { image: 'box.qcow2', format: 'qcow2' },
      disks: [{ size: '1GiB' }, { iso: 'tools.iso' }, { image: 'data.raw', format: 'raw' }],
    },
  ],
}

const locked = (name: string): LockedPackage => ({
  name,
  version: '1',
  architecture: 'amd64',
  sha256: name.padEnd(64, '0'),
  size: 1,
  filename: `pool/${name}.deb`,
  stanza: `Package: ${name}\n`,
})

export const SETS: Record<string, string[]> = {
  'tools.pack': ['e2fsprogs'],
  'tools.publish': ['zstd'],
  host: ['base', 'libvirt'],
  'guest.web': ['base', 'busybox'],
  'guest.twin': ['base', 'busybox'],
  'guest.other': ['base', 'nano'],
}

export const id = (name: string) => `${name}_1_amd64`
export const lock: Lock = {
  version: 2,
  epoch: 1_750_000_000,
  requests: '',
  asked: [],
  sources: { trixie: ['deb http://archive.example/debian trixie main'] },
  packages: Object.fromEntries(
    [...new Set(Object.values(SETS).flat())].map((name) => [id(name), locked(name)]),
  ),
  sets: Object.fromEntries(Object.entries(SETS).map(([set, names]) => [set, names.map(id)])),
  files: {
    'guest.box/disk0': { sha256: 'ef'.repeat(32), size: 1 },
    'guest.box/iso0': { sha256: '12'.repeat(32), size: 1 },
    'guest.box/disk2': { sha256: '34'.repeat(32), size: 1 },
  },
}

/** What is laid over a tree, told apart by one word. */
export const laid = (word: string) => new Keyed<LaidFiles>({ overlay: [], own: [] }, { '/etc/a': word })

/** Files of a guest that are bases as they are, by what the plan calls them. */
const GIVEN = ['import.box', 'import.box.iso0']
/** The stages that make bases of the others. */
export const IMPORTS = ['import.box.disk2']

const readImage = (isBase: boolean): ReadImage => ({ isBase, occupied: MiB })

export const facts: BuildFacts = {
  programOf: (module) => `program of ${module}`,
  hostFiles: laid('h'),
  read: {
    'disk.web': laid('g1'),
    'disk.twin': laid('g2'),
    'disk.other': laid('g3'),
    ...Object.fromEntries(GIVEN.map((stage) => [stage, readImage(true)])),
    ...Object.fromEntries(IMPORTS.map((stage) => [stage, readImage(false)])),
  },
  mmdebstrap: 'mmdebstrap 1',
  tools: 't',
}

const files = {
  folder: '/profiles',
  sshKeyFiles: {},
  virtualSizes: { 'guest.box/disk0': 2 ** 30, 'guest.box/disk2': 2 ** 30 },
}
export const plan = makePlan(profile, lock, files)

const secrets = new Keyed<Secrets>({ passwordHash: null, wifi: [] }, '')
export const planned = { plan, lock, secrets, builder: '0.1.0' }
