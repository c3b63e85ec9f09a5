/**
 * The store: a content-addressed folder that builds share.
 *
 *     objects/ab/abcd…   finished bytes, named by their SHA-256, never changed
 *     records/KEY.json   which objects a stage with that key made
 *     trees/KEY/         unpacked tools trees
 *     tmp/               scratch and leases of running builds
 *
 * A thing is written in `tmp/`, fsynced, and renamed to its final name: a build that is killed at any point
 * leaves nothing half-written under one. Two builds that make the same object rename the same bytes.
 *
 * When a thing was used last is its mtime. A lease is an empty file that says since when somebody is at work: what was
 * used since the oldest one is in use, and `prune.ts` leaves it alone. mtimes show through the hard links of
 * {@link Store.linkObject}, by which `--check` seeds a store of its own.
 * Left out: what is in a store (`inventory.ts`), pruning it (`prune.ts`), checking all of it (`verify.ts`).
 */
import { randomBytes } from 'node:crypto'
import {
  chmod,
  link,
  mkdir,
  open,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  utimes,
  writeFile,
} from 'node:fs/promises'
import { userInfo } from 'node:os'
import { dirname, isAbsolute, join, resolve } from 'node:path'
import { isSha256, type Json, type Sha256, sha256File } from '../base/digests.js'
import { EXIT, KeyvisorError } from '../base/errors.js'
import { errorHint, errorWords, ifThere, isAbsent, isLost, onFile } from '../base/file-errors.js'
import { makeFolder } from '../base/make-folder.js'
import { removeScratch } from '../base/namespace.js'
import { type Bytes, parseBytes } from '../base/units.js'
import { isStale, ownName } from './own-names.js'

/** A finished file in the store. */
export interface StoredObject {
  path: string
  sha256: Sha256
  size: Bytes
}

/** What a stage left behind: its objects by name, and facts about them that later stages read. */
export interface StageRecord {
  /** Name of the stage, for people who look into the store. */
  stage: string
  objects: Record<string, { sha256: Sha256; size: Bytes }>
  facts: Record<string, Json>
}

/**
 * Where the store is, as an absolute path: `$KEYVISOR_STORE`, else the user's cache folder. The XDG Base Directory
 * Specification has a relative `$XDG_CACHE_HOME` ignored. Throws `no-home`.
 */
export function storeFolder(env: NodeJS.ProcessEnv = process.env): string {
  if (env['KEYVISOR_STORE']) return resolve(env['KEYVISOR_STORE'])
  const cache = env['XDG_CACHE_HOME'] ?? ''
  return join(isAbsolute(cache) ? cache : join(homeFolder(env), '.cache'), 'keyvisor')
}

/** `$HOME`, and where it is unset or empty, what passwd(5) says. */
function homeFolder({ HOME: home }: NodeJS.ProcessEnv): string {
  if (home && isAbsolute(home)) return home
  if (home) throw noHome(`HOME is "${home}", which is not an absolute path`)
  try {
    return userInfo().homedir
  } catch {
    throw noHome(`HOME is not set, and user ${process.getuid?.()} has no entry in /etc/passwd`)
  }
}

function noHome(why: string): KeyvisorError {
  return new KeyvisorError('no-home', `there is no place for the store: ${why}`, {
    hint: 'set KEYVISOR_STORE to a folder that you may write to',
  })
}

/** What the user lets the store take on the disk after a build: `$KEYVISOR_STORE_LIMIT`; undefined for no limit. */
export function storeLimit(env: NodeJS.ProcessEnv = process.env): Bytes | undefined {
  const text = env['KEYVISOR_STORE_LIMIT']
  if (!text) return undefined
  const limit = parseBytes(text)
  if (limit !== undefined) return limit
  throw new KeyvisorError('bad-store-limit', `KEYVISOR_STORE_LIMIT is "${text}", which is not a size`, {
    hint: 'set it to a size such as 20GiB, or unset it',
    exitCode: EXIT.usage,
  })
}

export class Store {
  readonly folder: string

  private constructor(folder: string) {
    this.folder = folder
  }

  /** Opens the store, making it where there is none. Throws `store-unusable` when it cannot be written. */
  static async open(folder: string): Promise<Store> {
    try {
      for (const name of ['objects', 'records', 'trees', 'tmp']) await makeFolder(join(folder, name))
      const probe = join(folder, 'tmp', await ownName('probe'))
      await writeFile(probe, '')
      await rm(probe)
    } catch (cause) {
      throw new KeyvisorError(
        'store-unusable',
        `the store ${folder} cannot be written: ${errorWords(cause)}`,
        { hint: `set KEYVISOR_STORE to a folder that you may write; or ${errorHint(cause)}`, cause },
      )
    }
    return new Store(folder)
  }

  objectPath(sha256: Sha256): string {
    return join(this.folder, 'objects', sha256.slice(0, 2), sha256)
  }

  /** True when there is an object of that name and length. Its bytes are checked by {@link verified}. */
  async has(sha256: Sha256, size: Bytes): Promise<boolean> {
    const found = await ifThere(stat(this.objectPath(sha256)))
    return found?.isFile() === true && found.size === size
  }

  /** The object, when its bytes are what its name says; a damaged one is removed, and undefined returned. */
  async verified(sha256: Sha256, size: Bytes): Promise<StoredObject | undefined> {
    const path = this.objectPath(sha256)
    const found = await sha256File(path).catch((error) => {
      if (isAbsent(error) || isLost(error)) return undefined
      throw error
    })
    if (found?.sha256 === sha256 && found.size === size) {
      return (await touch(path)) ? { path, sha256, size } : undefined
    }
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
    await makeFolder(dirname(path))
    await sync(file)
    await chmod(file, isPrivate ? 0o400 : 0o444)
    // Downloaded files have the archive's times.
    await touch(file)
    await rename(file, path)
    await sync(dirname(path))
    return { path, sha256, size }
  }

  /** Makes an object appear under another name without copying, where the file system allows. */
  async linkObject(sha256: Sha256, target: string): Promise<void> {
    await link(this.objectPath(sha256), target)
  }

  async readRecord(key: Sha256): Promise<StageRecord | undefined> {
    const text = await readRecordText(this.recordPath(key))
    if (text === undefined) return undefined
    return parseRecord(text)
  }

  async writeRecord(key: Sha256, record: StageRecord): Promise<void> {
    const text = `${JSON.stringify(record, null, 1)}\n`
    await replaceFile(this.recordPath(key), text, await this.scratchPath('record'))
  }

  /** Says that a record's result was used. */
  async touchRecord(key: Sha256): Promise<void> {
    await touch(this.recordPath(key))
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

  /** Work in such a folder, which is gone when it ends, however it ends. */
  async inScratch<T>(name: string, work: (folder: string) => Promise<T>): Promise<T> {
    const folder = await this.scratch(name)
    try {
      return await work(folder)
    } finally {
      await removeScratch(folder)
    }
  }

  /** A name of its own in `tmp/`, which says whose it is. */
  async scratchPath(name: string): Promise<string> {
    return join(this.folder, 'tmp', await ownName(name))
  }

  /** Scratch folders and files that killed builds left behind. */
  async staleScratch(): Promise<string[]> {
    const stale: string[] = []
    for (const path of await this.scratchFolders()) if (await isStale(path)) stale.push(path)
    return stale
  }

  /** Does some work under a lease: nothing that it uses is pruned meanwhile. One that a killed build left is stale. */
  async leased<T>(work: () => Promise<T>): Promise<T> {
    const lease = await this.scratchPath(LEASE)
    await writeFile(lease, '')
    try {
      return await work()
    } finally {
      await rm(lease, { force: true })
    }
  }

  /** Since when somebody is at work with this store: milliseconds since 1970, Infinity where nobody is. */
  async leasedSince(): Promise<number> {
    let oldest = Number.POSITIVE_INFINITY
    for (const path of await this.scratchFolders()) {
      if (!path.includes(`-${LEASE}-`) || (await isStale(path))) continue
      const found = await ifThere(stat(path))
      // In whole milliseconds, as `touch` sets times: a use in the lease's own millisecond is not before it.
      if (found) oldest = Math.min(oldest, Math.floor(found.mtimeMs))
    }
    return oldest
  }

  recordPath(key: Sha256): string {
    return join(this.folder, 'records', `${key}.json`)
  }

  private async scratchFolders(): Promise<string[]> {
    const folder = join(this.folder, 'tmp')
    return (await readdir(folder)).map((name) => join(folder, name))
  }
}

const LEASE = 'lease'

/** Undefined where there is none, or the disk has lost it: then its stage runs again. */
function readRecordText(path: string): Promise<string | undefined> {
  return onFile(path, () => readFile(path, 'utf8')).catch((error) => {
    if (isAbsent(error) || isLost(error)) return undefined
    throw error
  })
}

/** Undefined when it is damaged: then its stage runs again. */
function parseRecord(text: string): StageRecord | undefined {
  try {
    const { stage = '', objects, facts } = JSON.parse(text) as Partial<StageRecord>
    if (!objects || !facts) return undefined
    const whole = Object.values(objects).every(({ sha256, size }) => isSha256(sha256) && size >= 0)
    return whole ? { stage, objects, facts } : undefined
  } catch {
    return undefined
  }
}

/** Sets a thing's last use to now. False when it is gone; one that belongs to somebody else keeps its time. */
export async function touch(path: string): Promise<boolean> {
  const now = new Date()
  return utimes(path, now, now).then(
    () => true,
    (error: NodeJS.ErrnoException) => error.code !== 'ENOENT',
  )
}

/** Writes a whole file under its final name in one step, durably. `temporary` is on the same file system. */
export async function replaceFile(
  path: string,
  text: string,
  temporary = join(dirname(path), `.${randomBytes(6).toString('hex')}.tmp`),
): Promise<void> {
  try {
    await onFile(path, () => writeFile(temporary, text))
    await onFile(path, () => sync(temporary))
    await rename(temporary, path)
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => {}) // Why it came to this says more.
    throw error
  }
}

/** fsync(2) of a file or folder. */
export async function sync(path: string): Promise<void> {
  const file = await open(path, 'r')
  try {
    await onFile(path, () => file.sync())
  } finally {
    await file.close()
  }
}
