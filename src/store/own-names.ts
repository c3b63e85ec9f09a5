/**
 * Whose a name in the store's `tmp/` is: scratch and leases carry their process, and are stale when that is gone.
 */
import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { readlink, stat } from 'node:fs/promises'
import { basename } from 'node:path'
import { ifThere } from '../base/file-errors.js'

/** What another pid namespace (a container that shares the store) left is stale after a day. */
const FOREIGN_SECONDS = 24 * 3600

/** A name that nobody else has, for a thing of this process. */
export async function ownName(name: string): Promise<string> {
  return `${await pidNamespace()}-${process.pid}-${name}-${randomBytes(4).toString('hex')}`
}

/** True when the process whose name {@link ownName} gave is gone. */
export async function isStale(path: string): Promise<boolean> {
  const [namespace, pid] = basename(path).split('-')
  if (namespace === (await pidNamespace())) return !existsSync(`/proc/${pid}`)
  const found = await ifThere(stat(path))
  return found !== undefined && (Date.now() - found.mtimeMs) / 1000 > FOREIGN_SECONDS
}

/** Number of our pid namespace: a pid means nothing outside it (pid_namespaces(7)). */
async function pidNamespace(): Promise<string> {
  return /\d+/.exec(await readlink('/proc/self/ns/pid'))?.[0] ?? '0'
}
