/**
 * Bounded parallel work: at most `count` at the same time, in the order of asking.
 */
export function limited(count: number): <T>(work: () => Promise<T>) => Promise<T> {
  const waiting: (() => void)[] = []
  let free = count
  return async (work) => {
    if (free > 0) free--
    else await new Promise<void>((resolve) => waiting.push(resolve))
    try {
      return await work()
    } finally {
      // Handed on, never freed in between: a newcomer would take it too.
      const next = waiting.shift()
      if (next) next()
      else free++
    }
  }
}
