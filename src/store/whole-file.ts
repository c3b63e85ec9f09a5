/**
 * Whole files: a large one appears under its name when it is whole, and at no time before.
 *
 * Left out: small texts (`replaceFile` of `store.ts`).
 */
import { existsSync } from 'node:fs'
import { readdir, rename, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { onFile } from '../base/file-errors.js'
import { sync } from './store.js'

/**
 * Has a file written under a temporary name beside `path`, and puts it there. A failure leaves no file, and an older
 * one as it was; what killed builds left of this one is removed.
 */
export async function writeWhole(path: string, write: (temporary: string) => Promise<void>): Promise<void> {
  await removeLeftovers(path)
  const temporary = join(dirname(path), `.${basename(path)}.${process.pid}.tmp`)
  await rm(temporary, { force: true })
  try {
    await onFile(path, () => write(temporary))
    await sync(temporary)
    await rename(temporary, path)
    await sync(dirname(path))
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => {}) // Why it came to this says more.
    throw error
  }
}

async function removeLeftovers(path: string): Promise<void> {
  const [before, after] = [`.${basename(path)}.`, '.tmp']
  for (const name of await readdir(dirname(path))) {
    if (!name.startsWith(before) || !name.endsWith(after)) continue
    const pid = name.slice(before.length, -after.length)
    if (/^\d+$/.test(pid) && !existsSync(`/proc/${pid}`)) await rm(join(dirname(path), name), { force: true })
  }
}
