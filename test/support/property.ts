/**
 * Properties, by fast-check: it looks for what breaks one, makes that small, and tells it with the seed it came from.
 * `SEED=… node scripts/test.js FILE` draws the same again.
 */
import fc, { type Arbitrary, type IAsyncProperty, type IProperty } from 'fast-check'
import { KeyvisorError } from '../../src/base/errors.js'

/** What of a tap test this module needs. */
interface Test {
  pass(message: string): unknown
  fail(message: string): unknown
}

/** Fails the test unless the property holds each of so many times. */
export async function holds<T>(t: Test, times: number, property: IProperty<T> | IAsyncProperty<T>) {
  const seed = process.env['SEED']
  const found = await fc.check(property, {
    numRuns: times,
    ...(seed === undefined ? {} : { seed: Number(seed) }),
  })
  if (found.failed) t.fail(`SEED=${found.seed}: ${await fc.asyncDefaultReportMessage(found)}`)
  else t.pass(`holds ${times} times`)
}

/** A whole number below `limit`. */
export const below = (limit: number) => fc.integer({ min: 0, max: limit - 1 })

/** A byte at a place of a file. */
export interface Change {
  at: number
  byte: number
}

/** Up to `most` changes of the bytes from `start` to `end`, exclusive. */
export function noise(start: number, end: number, most: number): Arbitrary<Change[]> {
  const change = fc.record({ at: fc.integer({ min: start, max: end - 1 }), byte: below(256) })
  return fc.array(change, { minLength: 1, maxLength: most })
}

/** A copy with the changes in it. */
export function changed(bytes: Uint8Array, changes: readonly Change[]): Buffer {
  const copy = Buffer.from(bytes)
  for (const { at, byte } of changes) copy[at] = byte
  return copy
}

/** What `work` gives; undefined when it ends in an error for people, which bad bytes may. No other passes. */
export async function readOrRefused<T>(work: () => T | Promise<T>): Promise<T | undefined> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof KeyvisorError) return undefined
    throw error
  }
}
