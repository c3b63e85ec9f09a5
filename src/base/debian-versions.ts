/**
 * Versions of Debian packages: which of two is later. Spec: deb-version(7), "Sorting algorithm".
 */

/** Negative when `a` is the earlier, positive when it is the later, 0 when they are the same. */
export function compareVersions(a: string, b: string): number {
  const [x, y] = [versionParts(a), versionParts(b)]
  return x.epoch - y.epoch || compareParts(x.upstream, y.upstream) || compareParts(x.revision, y.revision)
}

export type VersionChange = 'up' | 'down' | 'new' | 'gone'

/** What became of a package; `undefined` is a version that is not there, and the answer where nothing changed. */
export function versionChange(from: string | undefined, to: string | undefined): VersionChange | undefined {
  if (from === to) return undefined
  if (from === undefined) return 'new'
  if (to === undefined) return 'gone'
  const order = compareVersions(to, from)
  if (order === 0) return undefined
  return order > 0 ? 'up' : 'down'
}

/** `[epoch:]upstream[-revision]`; no revision sorts as `0` does. */
function versionParts(version: string): { epoch: number; upstream: string; revision: string } {
  const [, epoch = '0', rest = ''] = /^(?:(\d+):)?(.*)$/.exec(version) ?? []
  const [, upstream = rest, revision = ''] = /^(.*)-([^-]*)$/.exec(rest) ?? []
  return { epoch: Number(epoch), upstream, revision }
}

/** By turns the longest part without digits and the longest of digits. */
function compareParts(a: string, b: string): number {
  const [x, y] = [a, b].map((text) => [...text.matchAll(/(\D*)(\d*)/g)]) as [
    RegExpExecArray[],
    RegExpExecArray[],
  ]
  for (let at = 0; at < Math.max(x.length, y.length); at++) {
    const [, wordA = '', numberA = ''] = x[at] ?? []
    const [, wordB = '', numberB = ''] = y[at] ?? []
    const order = compareWords(wordA, wordB) || compareNumbers(BigInt(numberA), BigInt(numberB))
    if (order !== 0) return order
  }
  return 0
}

/** Some upstream versions are dates and hashes with more digits than a double holds. */
function compareNumbers(a: bigint, b: bigint): number {
  return a === b ? 0 : a < b ? -1 : 1
}

function compareWords(a: string, b: string): number {
  for (let at = 0; at < Math.max(a.length, b.length); at++) {
    const order = weight(a[at]) - weight(b[at])
    if (order !== 0) return order
  }
  return 0
}

/** A tilde is before the end, the end before letters, and letters before all else. */
function weight(character: string | undefined): number {
  if (character === '~') return -1
  if (character === undefined) return 0
  return /[A-Za-z]/.test(character) ? character.charCodeAt(0) : character.charCodeAt(0) + 256
}
