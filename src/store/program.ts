/**
 * The digest of a maker: of its module's source, of all modules that this imports, and of the scripts and folders beside
 * the sources that any of them names. A changed maker is a changed key.
 *
 * The table is written by `scripts/programs.js` before each compile, from the sources: it is the same in dist/, in a bundle
 * and in tests.
 */
import type { Sha256 } from '../base/digests.js'
import { lookUp } from '../base/lookup.js'
import { PROGRAMS } from './programs.gen.js'

export function programOf(module: string): Sha256 {
  const digest = lookUp(PROGRAMS, module)
  if (digest === undefined) throw new Error(`BUG: no digest of ${module}; compile with npm run build`)
  return digest
}
