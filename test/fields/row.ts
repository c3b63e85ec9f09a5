/**
 * Rows: what shows that a field of the profile has its effect, as data. Each row is a field, a value other than its default,
 * a question, and two answers: that of a stick with this value, and that of a stick with the default one.
 */
import type { Json } from '../../src/base/digests.js'

/** Sticks beside `usual`, which has every default: too few of them, and values would be in each other's way. */
export const STICKS = ['changed', 'fixed', 'lean', 'emulated'] as const

export type StickName = 'usual' | (typeof STICKS)[number]

/**
 * Where a question is asked. `stick` and `guest` (the guest that is called `system` here) run shell there, and `image` here,
 * with `$image` and `$esp`. `report`: a guest and a member of its event. `network`: a TCP port of the stick, from outside;
 * the answer is what is read there. `plan`: a question of `planned.ts`. `validate`: the answer is the codes of the errors.
 */
export type Where = 'validate' | 'plan' | 'image' | 'stick' | 'guest' | 'report' | 'network'

export interface Row {
  /** As in `host.files[].mode`. */
  field: string
  /** Where the value goes, if not to the first entry of each list: `guests.1.ready`. */
  at?: string | undefined
  value: Json
  /** The stick that has the value; default `changed`. Its other fields are there for what is planned or validated, too. */
  on?: (typeof STICKS)[number]
  where: Where
  ask: string
  expected: string
  /** What `usual` answers; for what is planned or validated, the same profile with the value that `usual` has there. */
  other: string | RegExp
  /** What is asked for the other answer, where a guest on the same stick has the default and none on `usual` can. */
  otherAsk?: string
}

/** The value's place, as steps: names, and indexes of lists. */
export function stepsOf({ field, at }: Pick<Row, 'field' | 'at'>): string[] {
  return (at ?? field.replaceAll('[]', '.0')).split('.')
}

/** Whether an answer is the one that a row has; what a tool says of itself may stand around a pattern. */
export function fits(answer: string, wanted: string | RegExp): boolean {
  return typeof wanted === 'string' ? answer === wanted : wanted.test(answer)
}
