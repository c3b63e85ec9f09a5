/** Each of some names once. By code unit: a locale must not change a key. */
export function sortedSet(names: readonly string[]): string[] {
  return [...new Set(names)].sort()
}
