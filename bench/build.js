/**
 * Speed, memory and sizes of a build, against the limits that users were told: `npm run bench [PART...]`.
 *
 * Ratios and figures of one run on a calm machine; nothing of this is a timed test. Prints a table, writes it to
 * bench/results/DATE.md, and fails where a figure is above its limit. `RUNS=1` tries a part quickly. Needs the compiled
 * program, mmdebstrap, GNU time and, to be compared with mkosi, to mount file systems and to build without network, root.
 * The guests' parts take up to 60 GiB of disk.
 * Left out: how fast a mirror is.
 */
import { mkdirSync, rmSync } from 'node:fs'
import { cold } from './cold.js'
import { clone, foreign, raw, reads, replace, written } from './guests.js'
import { folder, report } from './measure.js'
import { hostRoot } from './root.js'
import { memory, sizes } from './sizes.js'
import { definition, nothing, version } from './warm.js'

const PARTS = {
  cold,
  root: hostRoot,
  version,
  nothing,
  definition,
  replace,
  clone,
  raw,
  foreign,
  written,
  reads,
  memory,
  sizes,
}

const names = process.argv.length > 2 ? process.argv.slice(2) : Object.keys(PARTS)
rmSync(folder, { recursive: true, force: true })
mkdirSync(folder, { recursive: true })
try {
  for (const name of names) {
    if (!PARTS[name]) throw new Error(`there is no part ${name}: ${Object.keys(PARTS).join(', ')}`)
    await PARTS[name]()
  }
} finally {
  rmSync(folder, { recursive: true, force: true })
}
if (!report()) process.exitCode = 1
