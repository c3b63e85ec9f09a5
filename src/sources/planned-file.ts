/**
 * A file of the user's that goes into a root, as a plan has it.
 */
import { resolve } from 'node:path/posix'
import type { PlannedFile } from '../debian/types.js'
import { DEFAULTS, type RootFile } from '../yaml/profile.gen.js'

export function planFile(given: RootFile, folder: string): PlannedFile {
  const file = { ...DEFAULTS.rootFile, ...given }
  return {
    source: resolve(folder, file.source),
    target: file.target,
    mode: Number.parseInt(file.mode, 8),
    owner: file.owner,
  }
}
