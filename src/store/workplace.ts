/**
 * Where work is done, and how: the store, who is told of progress, and what may end it.
 */
import type { Progress } from '../base/progress.js'
import type { Store } from './store.js'

export interface Workplace {
  store: Store
  progress: Progress
  signal?: AbortSignal
  /** Nothing comes from the network: what the store lacks is an error. */
  offline?: boolean
}
