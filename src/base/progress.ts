/**
 * Progress: what long work tells whoever watches it. The command line renders these events; the library
 * never prints.
 */
import type { Bytes } from './units.js'

export type ProgressEvent =
  | { kind: 'start'; stage: string; title: string }
  | { kind: 'bytes'; stage: string; done: Bytes; total: Bytes }
  /** A line worth showing while the stage runs. */
  | { kind: 'note'; stage: string; text: string }
  /** `reused` when the store had it and nothing was done. */
  | { kind: 'end'; stage: string; seconds: number; reused: boolean }

export type Progress = (event: ProgressEvent) => void

/** Work of which whoever watches hears that it began and, where it does not throw, how long it took. */
export async function step<T>(
  progress: Progress,
  { stage, title }: { stage: string; title: string },
  work: () => Promise<T>,
): Promise<T> {
  const started = Date.now()
  progress({ kind: 'start', stage, title })
  const result = await work()
  progress({ kind: 'end', stage, seconds: (Date.now() - started) / 1000, reused: false })
  return result
}

/** For callers that do not watch. */
export const silent: Progress = () => {}
