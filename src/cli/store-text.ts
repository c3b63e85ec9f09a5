/**
 * What `store` says. Pure. Whoever prints this makes it safe first.
 */
import {
  type Damage,
  formatBytes,
  type Pruned,
  type StoreContents,
  type StoreEntry,
  type StoreHealth,
} from '../index.js'

/** Characters of a key that are shown: enough to tell two apart. */
const SHOWN_KEY = 12

const HOUR = 3600 * 1000

/** The table of a store. `now` in milliseconds since 1970. */
export function contentsText({ folder, entries, total, stale }: StoreContents, now: number): string {
  const newest = entries.toReversed()
  const of = (kind: StoreEntry['kind']) => newest.filter((entry) => entry.kind === kind)
  const one = (entry: StoreEntry, name: string) => [
    name,
    formatBytes(entry.size),
    ageText(now - entry.lastUse),
    entry.key.slice(0, SHOWN_KEY),
  ]
  const rows = [
    ['', 'size', 'last use', 'key'],
    ...of('stage').map((entry) => one(entry, `stage ${entry.stage || 'of an older version'}`)),
    ...of('tree').map((entry) => one(entry, 'tools tree')),
    ...summary('package', 'packages', of('object'), now),
    ...summary('note', 'notes on images', of('note'), now),
  ]
  const column = (index: number) => Math.max(...rows.map((row) => row[index]?.length ?? 0))
  const [names, sizes, ages] = [column(0), column(1), column(2)]
  const lines = rows.map(([name = '', size = '', age = '', key = '']) =>
    `${name.padEnd(names)}  ${size.padStart(sizes)}  ${age.padEnd(ages)}  ${key}`.trimEnd(),
  )
  const parts = entries.length === 0 ? ['nothing yet'] : lines
  return [...parts, `${formatBytes(total)} in ${folder}`, ...staleText(stale)].join('\n')
}

/** Packages are many, and their digests say nothing to anybody. */
function summary(one: string, many: string, entries: StoreEntry[], now: number): string[][] {
  const [newest] = entries
  if (!newest) return []
  const size = entries.reduce((sum, entry) => sum + entry.size, 0)
  const name = entries.length === 1 ? `1 ${one}` : `${entries.length} ${many}`
  return [[name, formatBytes(size), ageText(now - newest.lastUse)]]
}

function ageText(milliseconds: number): string {
  const hours = Math.floor(milliseconds / HOUR)
  if (hours < 1) return 'now'
  if (hours < 48) return `${hours} h ago`
  return `${Math.floor(hours / 24)} days ago`
}

function staleText(stale: string[]): string[] {
  if (stale.length === 0) return []
  const what = stale.length === 1 ? 'a killed build' : `killed builds (${stale.length} folders or files)`
  return [`there is scratch of ${what} in tmp/: the next build removes it`]
}

export function prunedText({ removed, total, inUse }: Pruned): string {
  const counts = (['stage', 'tree', 'object', 'note'] as const).flatMap((kind) => {
    const count = removed.filter((entry) => entry.kind === kind).length
    return count === 0 ? [] : [`${count} ${count === 1 ? KINDS[kind].one : KINDS[kind].many}`]
  })
  return [
    counts.length === 0 ? 'nothing to remove' : `removed ${counts.join(', ')}`,
    `the store takes ${formatBytes(total)}`,
    ...(inUse ? ['the rest is in use by a running build, and was kept'] : []),
  ].join('\n')
}

const KINDS = {
  stage: { one: 'stage', many: 'stages' },
  tree: { one: 'tools tree', many: 'tools trees' },
  object: { one: 'package', many: 'packages' },
  note: { one: 'note', many: 'notes' },
}

export function healthText({ objects, records, trees, bytes, damage, stale, folder }: StoreHealth): string {
  const read = `${objects} objects (${formatBytes(bytes)}), ${records} records and ${trees} tools trees`
  return [
    ...damage.map(damageText),
    `${damage.length === 0 ? 'sound' : 'DAMAGED'}: ${read} in ${folder}`,
    ...(damage.length > 0 ? ['what was damaged is removed: the next build makes it anew'] : []),
    ...staleText(stale),
  ].join('\n')
}

function damageText({ kind, key, reason, stages }: Damage): string {
  const whose = stages.filter(Boolean)
  const of = whose.length > 0 ? ` of ${whose.join(', ')}` : ''
  return `${kind === 'tree' ? 'tools tree' : kind} ${key}${of}: ${reason}`
}
