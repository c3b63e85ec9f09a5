/**
 * What `lock` says. Pure.
 */
import { formatBytes, type LockChanges, type LockReport, type PackageChange } from '../index.js'

export function lockText({ lock, sets, files, epoch, changes }: LockReport): string {
  const date = new Date(epoch * 1000).toISOString().slice(0, 10)
  const rows = [
    ...sets.map(({ set, packages, size }) => [setWords(set), `${packages} packages, ${formatBytes(size)}`]),
    ...files.map(({ name, size, sha256 }) => [setWords(name), `${formatBytes(size)}, SHA-256 ${sha256}`]),
    ...(epoch > 0 ? [['date', `${date}, of the newest package index`]] : []),
  ]
  return [headline(lock, changes), ...table(rows), ...changesText(changes, lock.made)].join('\n')
}

function headline({ path, made }: LockReport['lock'], changes: LockChanges | null): string {
  if (!made) return `${path} is unchanged: it matches the profile`
  return changes ? `wrote ${path} anew` : `wrote ${path}: keep it, and each build has the same packages`
}

const TOOLS = new Map([
  ['tools.pack', 'tools'],
  ['tools.publish', 'artifacts'],
])

/** Tools, `host`, `guest.NAME` and `guest.NAME/disk0`, as people say it. */
function setWords(set: string): string {
  return TOOLS.get(set) ?? set.replace('guest.', 'guest ').replace('/', ' ')
}

function table(rows: string[][]): string[] {
  const width = Math.max(0, ...rows.map(([first = '']) => first.length))
  return rows.map(([first = '', ...rest]) => `  ${[first.padEnd(width), ...rest].join('  ')}`)
}

/** Nothing where there is no lock to compare with, or none was written. */
function changesText(changes: LockChanges | null, made: boolean): string[] {
  if (!changes || !made) return []
  const { packages, files } = changes
  if (packages.length + files.length === 0) return ['', 'nothing in it changed']
  const rows = [
    ...packages.map((item) => [CHANGE[item.change], `${item.name} ${versions(item)}`, inSets(item)]),
    ...files.map(({ name, change }) => [CHANGE[change], setWords(name)]),
  ]
  return ['', `changed: ${counts(changes)}`, ...table(rows)]
}

const CHANGE = { up: 'up', down: 'down', new: 'new', gone: 'gone', bytes: 'other bytes' } as const

function versions({ change, from, to }: PackageChange): string {
  return change === 'up' || change === 'down' ? `${from} to ${to}` : (to ?? from ?? '')
}

function inSets({ sets }: PackageChange): string {
  return `(${sets.map(setWords).join(', ')})`
}

/** `3 up, 1 new`, without what there is none of. */
function counts({ packages, files }: LockChanges): string {
  const all = [...packages, ...files]
  return Object.keys(CHANGE)
    .map((kind) => [all.filter(({ change }) => change === kind).length, kind] as const)
    .filter(([count]) => count > 0)
    .map(([count, kind]) => `${count} ${CHANGE[kind as keyof typeof CHANGE]}`)
    .join(', ')
}
