/**
 * One place where two values differ, in words. Pure. Whoever prints this makes it safe first.
 */
import type { Json, JsonChange } from '../index.js'

/** Longer values are cut: they are there to be recognized. */
const SHOWN = 60

/** `bash 5.2.15 -> 5.2.37`, `bash 5.2.37 (new)`, `/etc/hosts` where both are digests. */
export function changeText({ path, before, after }: JsonChange): string {
  const place = path.join('.')
  const named = (text: string) => [place, text].filter(Boolean).join(' ')
  if (before === undefined || after === undefined) {
    const only = (before ?? after) as Json
    if (!place) return `${before === undefined ? '+' : '-'}${valueText(only)}`
    return `${isDigest(only) ? place : named(valueText(only))} (${before === undefined ? 'new' : 'gone'})`
  }
  if (isDigest(before) && isDigest(after)) return place || 'changed'
  return named(`${valueText(before)} -> ${valueText(after)}`)
}

function isDigest(value: Json | undefined): boolean {
  return typeof value === 'string' && /^[0-9a-f]{64}$/.test(value)
}

export function valueText(value: Json): string {
  const text = typeof value === 'string' ? value : JSON.stringify(value)
  return text.length <= SHOWN ? text : `${text.slice(0, SHOWN - 3)}...`
}
