/**
 * Times of files, put back to the nanosecond: by touch(1), since those that Node sets are numbers of milliseconds.
 */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** Notes the times of a file; the answer puts them back. */
export function keepTimes(path: string): () => void {
  const folder = mkdtempSync(join(tmpdir(), 'keyvisor-times-'))
  const kept = join(folder, 'times')
  execFileSync('touch', ['-r', path, kept])
  return () => {
    execFileSync('touch', ['-r', kept, path])
    rmSync(folder, { recursive: true })
  }
}
