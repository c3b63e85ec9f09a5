/**
 * Sound: the parts of a value that its schema allows, and where they are.
 */
import type { ProfilePath } from './problems.js'

/**
 * What is there is of the right type and form; anything may be missing. A key that is there and undefined had a value
 * that the schema refuses.
 */
export type Sound<T> = T extends (infer Item)[]
  ? (Sound<Item> | undefined)[]
  : T extends object
    ? { [Key in keyof T]?: Sound<T[Key]> | undefined }
    : T

/** A value and its place. */
export interface Placed<T> {
  value: T
  path: ProfilePath
}

/** The entries of a list that the schema allows. */
export function entries<T>(list: readonly (T | undefined)[] | undefined, path: ProfilePath): Placed<T>[] {
  return (list ?? []).flatMap((value, index) =>
    value === undefined ? [] : [{ value, path: [...path, index] }],
  )
}
