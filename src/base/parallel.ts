/**
 * Work that goes on side by side.
 */
import type { EventEmitter } from 'node:events'

/** Bounded parallel work: at most `count` at the same time, in the order of asking. */
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

/**
 * Waits for all of them, also when one fails: nobody takes away what another still works with. Rejects with the first
 * failure, of which `onFailure` hears at once.
 */
export async function together<T extends readonly Promise<unknown>[] | []>(
  works: T,
  onFailure: (reason: unknown) => void = () => {},
): Promise<{ [Index in keyof T]: Awaited<T[Index]> }> {
  let first: { reason: unknown } | undefined
  for (const work of works) {
    work.catch((reason) => {
      first ??= { reason }
      onFailure(reason)
    })
  }
  await Promise.allSettled(works)
  if (first) throw first.reason
  return Promise.all(works) as Promise<{ [Index in keyof T]: Awaited<T[Index]> }>
}

/** Rejects with the signal's reason when it is aborted, and never resolves: for races with what cannot be ended. */
export function whenAborted(signal: AbortSignal | undefined): Promise<never> {
  return quiet((reject) => {
    if (signal?.aborted) reject(signal.reason)
    signal?.addEventListener('abort', () => reject(signal.reason), { once: true })
  })
}

/** Rejects with what `emitter` tells as `error`, and never resolves. */
export function whenFailed(emitter: EventEmitter): Promise<never> {
  return quiet((reject) => emitter.on('error', reject))
}

/** A rejection that nobody waits for any more is no error. */
function quiet(start: (reject: (reason: unknown) => void) => void): Promise<never> {
  const promise = new Promise<never>((_, reject) => start(reject))
  promise.catch(() => {})
  return promise
}
