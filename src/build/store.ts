/**
 * The store: a content-addressed folder that builds share.
 *
 *     objects/ab/abcd…   finished bytes, named by their SHA-256, never changed
 *     records/KEY.json   which objects a stage with that key made
 *     trees/KEY/         unpacked tools trees
 *     tmp/               scratch of running builds
 *
 * A thing is written in `tmp/`, fsynced, and renamed to its final name: a build that is killed at any point
 * leaves nothing half-written under one. Two builds that make the same object rename the same bytes.
 * Left out: pruning by size.
 */
import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import {
  chmod,
  link,
  mkdir,
  open,
  readdir,
  readFile,
  readlink,
  rename,
  rm,
  stat,
  writeFile,
} from 'node:fs/promises'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import { type Json, type Sha256, sha256File } from '../base/digests.js'
import { KeyvisorError } from '../base/errors.js'
import type { Bytes } from '../base/units.js'

/** A finished file in the store. */
export interface StoredObject {
  path: string
  sha256: Sha256
  size: Bytes
}

/** What a stage left behind: its objects by name, and facts about them that later stages read. */
export interface StageRecord {
  objects: Record<string, { sha256: Sha256; size: Bytes }>
  facts: Record<string, Json>
}

/** Scratch of another pid namespace (a container that shares the store) is stale after a day. */
const FOREIGN_SCRATCH_SECONDS = 24 * 3600

/** Where the store is: `$KEYVISOR_STORE`, else the user's cache folder (XDG Base Directory Specification). */
export function storeFolder(env: NodeJS.ProcessEnv = process.env): string {
  if (env['KEYVISOR_STORE']) return env['KEYVISOR_STORE']
  return join(env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'keyvisor')
}

export class Store {
  readonly folder: string

  private constructor(folder: string) {
    this.folder = folder
  }

  /** Opens the store, making it where there is none. Throws `store-unusable` when it cannot be written. */
  static async open(folder: string): Promise<Store> {
    try {
      for (const name of ['objects', 'records', 'trees', 'tmp'])
        await mkdir(join(folder, name), { recursive: true })
      const probe = join(folder, 'tmp', `probe-${randomBytes(6).toString('hex')}`)
      await writeFile(probe, '')
      await rm(probe)
    } catch (cause) {
      throw new KeyvisorError(
        'store-unusable',
        `the store ${folder} cannot be written: ${(cause as Error).message}`,
        {
          hint: 'set KEYVISOR_STORE to a folder that you may write',
          cause,
        },
      )
    }
    return new Store(folder)
  }

  objectPath(sha256: Sha256): string {
    return join(this.folder, 'objects', sha256.slice(0, 2), sha256)
  }

  /** True when there is an object of that name and length. Its bytes are checked by {@link verified}. */
  async has(sha256: Sha256, size: Bytes): Promise<boolean> {
    const found = await stat(this.objectPath(sha256)).catch(() => undefined)
    return found?.isFile() === true && found.size === size
  }

  /** The object, when its bytes are what its name says; a damaged one is removed, and undefined returned. */
  async verified(sha256: Sha256, size: Bytes): Promise<StoredObject | undefined> {
    const path = this.objectPath(sha256)
    if (!existsSync(path)) return undefined
    const found = await sha256File(path).catch(() => undefined)
    if (found?.sha256 === sha256 && found.size === size) return { path, sha256, size }
    await rm(path, { force: true })
    return undefined
  }

  /**
   * Takes a file of this store's scratch as an object, and moves it. With `expected`, other bytes are refused
   * as `digest-mismatch`. A private one is for its owner's eyes.
   */
  async add(file: string, expected?: Sha256, isPrivate = false): Promise<StoredObject> {
    const { sha256, size } = await sha256File(file)
    if (expected !== undefined && sha256 !== expected) {
      throw new KeyvisorError('digest-mismatch', `${file} has SHA-256 ${sha256}, not ${expected}`)
    }
    const path = this.objectPath(sha256)
    await mkdir(dirname(path), { recursive: true })
    await sync(file)
    await chmod(file, isPrivate ? 0o400 : 0o444)
    await rename(file, path)
    await sync(dirname(path))
    return { path, sha256, size }
  }

  /** Makes an object appear under another name without copying, where the file system allows. */
  async linkObject(sha256: Sha256, target: string): Promise<void> {
    await link(this.objectPath(sha256), target)
  }

  async readRecord(key: Sha256): Promise<StageRecord | undefined> {
    const text = await readFile(this.recordPath(key), 'utf8').catch(() => undefined)
    if (text === undefined) return undefined
    try {
      const record = JSON.parse(text) as Partial<StageRecord> | null
      return record?.objects && record.facts ? (record as StageRecord) : undefined
    } catch {
      return undefined
    }
  }

  async writeRecord(key: Sha256, record: StageRecord): Promise<void> {
    const text = `${JSON.stringify(record, null, 1)}\n`
    await replaceFile(this.recordPath(key), text, await this.scratchPath('record'))
  }

  treePath(key: Sha256): string {
    return join(this.folder, 'trees', key)
  }

  /** A new empty folder, for one stage of one running build and nobody else to read; the caller removes it. */
  async scratch(name: string): Promise<string> {
    const folder = await this.scratchPath(name)
    await mkdir(folder, { mode: 0o700 })
    return folder
  }

  /** A name of its own in `tmp/`, which says whose it is. */
  private async scratchPath(name: string): Promise<string> {
    const owner = `${await pidNamespace()}-${process.pid}`
    return join(this.folder, 'tmp', `${owner}-${name}-${randomBytes(4).toString('hex')}`)
  }

  /** Scratch folders and files that killed builds left behind. */
  async staleScratch(): Promise<string[]> {
    const here = await pidNamespace()
    const stale: string[] = []
    for (const name of await readdir(join(this.folder, 'tmp'))) {
      const path = join(this.folder, 'tmp', name)
      const [namespace, pid] = name.split('-')
      const gone =
        namespace === here ? !existsSync(`/proc/${pid}`) : await olderThan(path, FOREIGN_SCRATCH_SECONDS)
      if (gone) stale.push(path)
    }
    return stale
  }

  private recordPath(key: Sha256): string {
    return join(this.folder, 'records', `${key}.json`)
  }
}

/** Writes a whole file under its final name in one step, durably. `temporary` is on the same file system. */
export async function replaceFile(
  path: string,
  text: string,
  temporary = join(dirname(path), `.${randomBytes(6).toString('hex')}.tmp`),
): Promise<void> {
  try {
    await writeFile(temporary, text)
    await sync(temporary)
    await rename(temporary, path)
  } catch (error) {
    await rm(temporary, { force: true })
    throw error
  }
}

/** fsync(2) of a file or folder. */
export async function sync(path: string): Promise<void> {
  const file = await open(path, 'r')
  try {
    await file.sync()
  } finally {
    await file.close()
  }
}

async function olderThan(path: string, seconds: number): Promise<boolean> {
  const found = await stat(path).catch(() => undefined)
  return found !== undefined && (Date.now() - found.mtimeMs) / 1000 > seconds
}

/** Number of our pid namespace: a pid means nothing outside it (pid_namespaces(7)). */
async function pidNamespace(): Promise<string> {
  return /\d+/.exec(await readlink('/proc/self/ns/pid'))?.[0] ?? '0'
}
