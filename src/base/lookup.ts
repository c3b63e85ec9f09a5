/**
 * Tables that are read by names from outside: a plain object also has what every object inherits, such as `constructor`.
 */

/** A table's own value of this name; undefined where it has none. */
export function lookUp<T>(table: Readonly<Record<string, T>>, name: string): T | undefined {
  return Object.hasOwn(table, name) ? table[name] : undefined
}
