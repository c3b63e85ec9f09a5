/**
 * Why each stage ran, in words. Pure. Whoever prints this makes it safe first.
 */
import type { Explanation, JsonChange } from '../index.js'
import { changeText } from './change-text.js'

/** Changes of one kind that are named; the rest is counted. */
const NAMED = 8

export function explainText(explanations: Explanation[]): string {
  return explanations.map((item) => `stage ${item.stage}: ${stageWords(item)}`).join('\n')
}

function stageWords({ reused, changes, known }: Explanation): string {
  const changed = groups(changes).join('; ')
  if (reused) return changes.length === 0 ? 'reused' : `reused from an earlier build (${changed})`
  if (!known) return 'built, because no earlier build of this image is known'
  if (changes.length === 0) return 'built, because the store had no sound result of it'
  return `built, because of ${changed}`
}

/** By the first member of the path: `files: /etc/hosts, /etc/motd (new)`; of Keyvisor there is one digest alone. */
function groups(changes: JsonChange[]): string[] {
  const byInput = new Map<string, JsonChange[]>()
  for (const change of changes) {
    const input = change.path[0] ?? ''
    byInput.set(input, [...(byInput.get(input) ?? []), change])
  }
  return [...byInput].map(([input, all]) => {
    if (input === 'program') return 'Keyvisor itself'
    const shown = all.slice(0, NAMED).map((change) => changeText({ ...change, path: change.path.slice(1) }))
    const more = all.length > NAMED ? [`and ${all.length - NAMED} more`] : []
    return `${input}: ${[...shown, ...more].join(', ')}`
  })
}
