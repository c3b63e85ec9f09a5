/**
 * What changed since an earlier build: sizes, guests, and packages of each root, as Markdown. Pure, but for reading the
 * earlier manifest.
 */

import { type VersionChange, versionChange } from '../base/debian-versions.js'
import { KeyvisorError } from '../base/errors.js'
import { errorWords } from '../base/file-errors.js'
import { lookUp } from '../base/lookup.js'
import { type Bytes, formatBytes } from '../base/units.js'
import { readUserText } from '../base/user-file.js'
import { guestBases, type Manifest, type ManifestPackage, otherVersion } from '../stick/manifest.js'
import { epochTime } from './components.js'

/** What is compared of a manifest. */
export type Compared = Pick<Manifest, 'name' | 'epoch' | 'architecture' | 'packages' | 'slots'> & {
  image: Pick<Manifest['image'], 'size' | 'smallestStick'>
  library: Pick<Manifest['library'], 'size'>
  guests: Pick<Manifest['guests'][0], 'name' | 'drives'>[]
}

/** Reads a manifest that an earlier build wrote. Throws `manifest-unusable`. */
export async function readEarlierManifest(path: string): Promise<Compared> {
  const unusable = (why: string, cause?: unknown) =>
    new KeyvisorError('manifest-unusable', `the earlier manifest ${path} ${why}`, {
      hint: 'name a NAME.manifest.json that `keyvisor build` wrote',
      cause,
    })
  const text = await readUserText(path).catch((cause) => {
    throw unusable(`cannot be read: ${errorWords(cause)}`, cause)
  })
  let other: string | undefined
  try {
    const manifest = JSON.parse(text) as Compared
    other = otherVersion(manifest)
    if (!other && isCompared(manifest)) return manifest
  } catch {
    // Not JSON, or without a part that it must have.
  }
  throw unusable(other ?? 'is not a manifest')
}

/** Names and versions go into Markdown as they are. */
const PLAIN = /^[A-Za-z0-9+.~:_-]+$/

function isCompared({ name, epoch, packages, image, slots, library, guests }: Compared): boolean {
  const sizes = [epoch, image.size, image.smallestStick, rootSize({ slots }), library.size]
  const lists = [packages.host, ...Object.values(packages.guests)]
  const words = [
    name,
    ...Object.keys(packages.guests),
    ...guests.flatMap((guest) => [guest.name, ...guestBases(guest)]),
    ...lists.flat().flatMap((item) => [item.name, item.version, item.architecture]),
  ]
  return (
    sizes.every((size) => Number.isSafeInteger(size) && size >= 0) && words.every((word) => PLAIN.test(word))
  )
}

/** Of the slot that a build puts a host into. */
function rootSize({ slots }: Pick<Manifest, 'slots'>): Bytes {
  return slots.a?.size ?? 0
}

/** `NAME.changes.md`. */
export function changesText(before: Compared, now: Compared): string {
  const [old, young] = [new Set(before.guests.map(guestName)), new Set(now.guests.map(guestName))]
  const both = now.guests.filter(({ name }) => old.has(name))
  return [
    `# Changes of ${now.name}`,
    `Against an earlier build of ${before.name}.`,
    sizesTable(before, now),
    '## Guests',
    guestsText(before, now, old, young),
    '## Packages of the host',
    packagesText(before.packages.host, now.packages.host, now.architecture),
    ...both.flatMap(({ name }) => [
      `## Packages of guest ${name}`,
      packagesText(
        lookUp(before.packages.guests, name) ?? [],
        lookUp(now.packages.guests, name) ?? [],
        now.architecture,
      ),
    ]),
  ]
    .join('\n\n')
    .concat('\n')
}

const guestName = ({ name }: { name: string }) => name

function sizesTable(before: Compared, now: Compared): string {
  const size = (of: (manifest: Compared) => number) => [before, now].map((one) => formatBytes(of(one)))
  return table(
    ['', 'before', 'now'],
    [
      ['package indexes of', ...[before, now].map(({ epoch }) => epochTime(epoch).slice(0, 10))],
      ['image', ...size(({ image }) => image.size)],
      ['smallest stick', ...size(({ image }) => image.smallestStick)],
      ['root', ...size(rootSize)],
      ['library', ...size(({ library }) => library.size)],
    ],
  )
}

function guestsText(before: Compared, now: Compared, old: Set<string>, young: Set<string>): string {
  const bases = (guest: Compared['guests'][0]) => guestBases(guest).join(' ')
  const earlier = new Map(before.guests.map((guest) => [guest.name, bases(guest)]))
  const rows = [
    ...now.guests.flatMap((guest) => {
      if (!old.has(guest.name)) return [[guest.name, 'new']]
      return earlier.get(guest.name) === bases(guest)
        ? []
        : [[guest.name, 'another base image: what a stick has kept of it belongs to the old one']]
    }),
    ...before.guests.filter(({ name }) => !young.has(name)).map(({ name }) => [name, 'gone']),
  ]
  return rows.length > 0 ? table(['guest', 'change'], rows) : 'The same, from the same base images.'
}

export interface PackageDifference {
  /** With its architecture where a root has several of it: `libc6:i386`. */
  name: string
  change: VersionChange
  /** Versions; empty where there was, or is, none. */
  before: string
  now: string
}

/**
 * What differs between two of dpkg's lists, by name.
 *
 * @param usual architecture that needs no mention
 */
export function packageDifferences(
  before: ManifestPackage[],
  now: ManifestPackage[],
  usual: string,
): PackageDifference[] {
  const label = ({ name, architecture }: ManifestPackage) =>
    architecture === usual || architecture === 'all' ? name : `${name}:${architecture}`
  const versions = (list: ManifestPackage[]) => new Map(list.map((item) => [label(item), item.version]))
  const [old, young] = [versions(before), versions(now)]
  return [...new Set([...old.keys(), ...young.keys()])].sort().flatMap((name): PackageDifference[] => {
    const [from, to] = [old.get(name), young.get(name)]
    const change = versionChange(from, to)
    return change ? [{ name, change, before: from ?? '', now: to ?? '' }] : []
  })
}

function packagesText(before: ManifestPackage[], now: ManifestPackage[], usual: string): string {
  const rows = packageDifferences(before, now, usual).map(({ name, change, before, now }) => [
    name,
    change,
    before,
    now,
  ])
  return rows.length > 0
    ? table(['package', 'change', 'before', 'now'], rows)
    : 'The same, in the same versions.'
}

function table(head: string[], rows: string[][]): string {
  const line = (cells: string[]) => `| ${cells.join(' | ')} |`
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n')
}
