/**
 * Builders that differ from this one in what must not show in an image: each difference with the words that a test
 * prints for it, so that it says what it varied.
 */
import {
  chownSync,
  copyFileSync,
  existsSync,
  linkSync,
  mkdirSync,
  readFileSync,
  statfsSync,
  writeFileSync,
} from 'node:fs'
import { cpus } from 'node:os'
import { dirname, join } from 'node:path'
import { packageFile } from '../../../src/base/package.js'
import { silent } from '../../../src/base/progress.js'
import { systemTools, which } from '../../../src/base/tool.js'
import { GiB } from '../../../src/base/units.js'
import { archivesOf, lockedDebs } from '../../../src/lock/fetch.js'
import { makeLock } from '../../../src/lock/lock.js'
import type { Lock } from '../../../src/lock/types.js'
import { Store, storeFolder } from '../../../src/store/store.js'
import type { BuildOptions } from './builder.js'

/** One or more differences, as options of a build. */
export interface Elsewhere {
  varied: string[]
  options: Required<Pick<BuildOptions, 'prefix' | 'env'>>
}

const isRoot = process.getuid?.() === 0

/** Several differences at once; the first stands outermost on the command line. */
export function together(...all: (Elsewhere | undefined)[]): Elsewhere {
  const found = all.filter((item) => item !== undefined)
  return {
    varied: found.flatMap(({ varied }) => varied),
    options: {
      prefix: found.flatMap(({ options }) => options.prefix),
      env: Object.assign({}, ...found.map(({ options }) => options.env)),
    },
  }
}

function difference(varied: string, prefix: string[], env: Record<string, string> = {}): Elsewhere {
  return { varied: [varied], options: { prefix, env } }
}

/** What differs between people. */
export const OTHER_HABITS = together(
  difference('time zone', [], { TZ: 'Asia/Tokyo' }),
  difference('locale', [], { LANG: 'de_DE.UTF-8', LC_ALL: 'tr_TR.UTF-8' }),
  difference('umask', ['sh', '-c', 'umask 077; exec "$@"', 'sh']),
  difference('SOURCE_DATE_EPOCH of the environment', [], { SOURCE_DATE_EPOCH: '1' }),
)

export const ONE_CORE = cpus().length > 1 ? difference('1 core', ['taskset', '--cpu-list', '0']) : undefined

export const NO_NETWORK = isRoot ? difference('no network', ['unshare', '--net']) : undefined

export const OTHER_HOST_NAME = isRoot
  ? difference('host name', ['unshare', '--uts', 'sh', '-c', 'hostname elsewhere; exec "$@"', 'sh'])
  : undefined

/** Days by which the other clock is ahead: enough for another year, and for days since 1970 (shadow(5)). */
const DAYS = 1500

/** Another clock; undefined where that cannot be. `folder` is for its wrappers. */
export async function otherClock(folder: string): Promise<Elsewhere | undefined> {
  if (!isRoot || !which('gcc')) return undefined
  mkdirSync(folder, { mode: 0o755 })
  const source = packageFile('test/support/builders/other-clock.c')
  const options = ['-shared', '-fPIC', '-O1', `-DAHEAD=${DAYS * 86_400}`]
  await systemTools.run({ tool: 'gcc', args: [...options, '-o', join(folder, 'clock.so'), source] })
  const script = packageFile('test/support/builders/other-clock.sh')
  const prefix = ['env', `FOLDER=${folder}`, 'unshare', '--mount', 'sh', '-eu', script]
  return difference(`clock, ${DAYS} days ahead`, prefix)
}

/** The years that programs in the trees saw under {@link otherClock}, one for each tree. */
export function yearsSeen(folder: string): number[] {
  return readFileSync(join(folder, 'years'), 'utf8').trim().split('\n').map(Number)
}

export const otherYear = () => new Date(Date.now() + DAYS * 86_400_000).getFullYear()

/** A system that builds are promised on. */
export interface BuilderSystem {
  title: string
  suite: string
  /** As os-release(5) has them. */
  id: string
  release: string
}

export const BUILDER_SYSTEMS: BuilderSystem[] = [
  { title: 'Debian 12', suite: 'bookworm', id: 'debian', release: '12' },
  { title: 'Debian 13', suite: 'trixie', id: 'debian', release: '13' },
  { title: 'Ubuntu 24.04', suite: 'noble', id: 'ubuntu', release: '24.04' },
]

/** What a build needs there; libstdc++6 for this machine's Node, since not every system's own is new enough. */
const BUILDER_PACKAGES = 'mount,mmdebstrap,bubblewrap,uidmap,debian-archive-keyring,libstdc++6'

/** Whether this is that system. */
export function isThisSystem({ id, release }: BuilderSystem): boolean {
  const lines = readFileSync('/etc/os-release', 'utf8').split('\n')
  const has = (key: string, value: string) =>
    lines.includes(`${key}=${value}`) || lines.includes(`${key}="${value}"`)
  return has('ID', id) && has('VERSION_ID', release)
}

/**
 * Another system, with its own mmdebstrap, bubblewrap, apt and tar, and this Node; undefined where that cannot be. It is
 * made in `root`, from the network.
 *
 * @param folder what the build may write to
 */
export async function otherSystem(
  system: BuilderSystem,
  root: string,
  folder: string,
): Promise<Elsewhere | undefined> {
  if (!isRoot || isThisSystem(system)) return undefined
  const { suite, title } = system
  const keyring = system.id === 'ubuntu' ? [`--keyring=${await ubuntuKeyring(`${root}.keyring`)}`] : []
  const args = ['--mode=root', '--variant=apt', '--format=directory', `--include=${BUILDER_PACKAGES}`]
  const components = system.id === 'ubuntu' ? ['--components=main,universe'] : []
  await systemTools.run({
    tool: 'mmdebstrap',
    args: [...args, ...keyring, ...components, suite, root],
    timeout: 900,
  })
  mkdirSync(join(root, 'usr/local/bin'), { recursive: true })
  copyFileSync(process.execPath, join(root, 'usr/local/bin/node'))
  const script = packageFile('test/support/builders/other-system.sh')
  const places = [`ROOT=${root}`, `FOLDER=${folder}`, `PACKAGE=${packageFile('.')}`]
  const prefix = ['env', ...places, 'unshare', '--mount', '--pid', '--fork', 'sh', '-eu', script]
  return difference(`builder's system, ${title}`, prefix)
}

/** Ubuntu's archive keys, which Debian has in a package of its newer releases. */
async function ubuntuKeyring(folder: string): Promise<string> {
  const run = { store: await Store.open(storeFolder()), progress: silent }
  const set = { set: 'tools.keyring', suite: 'trixie', architecture: 'amd64', packages: ['ubuntu-keyring'] }
  const lock = await makeLock({ packages: [set], files: {}, mirror: undefined }, run)
  const debs = (await lockedDebs({ lock, archives: archivesOf(lock) }, [set.set], run))[set.set] ?? []
  const deb = debs.find(({ item }) => item.name === 'ubuntu-keyring')
  if (!deb) throw new Error('Debian 13 has no package ubuntu-keyring')
  await systemTools.run({ tool: 'dpkg-deb', args: ['-x', deb.path, folder] })
  return join(folder, 'usr/share/keyrings/ubuntu-archive-keyring.gpg')
}

/** The user's and the group's id: of those that are reserved (Debian Policy, 9.2.2). */
export const OTHER_USER = 65_000

/** Subordinate ids, as useradd(8) gives: so many, from an id on. */
const SUBORDINATE = { from: 1_000_000, count: 65_536 }

/**
 * A user whom this machine does not have, with subordinate ids (subuid(5)), and with a home that is closed to others;
 * undefined where that cannot be.
 *
 * @param folder gets what names the user, and is readable for all
 */
export async function otherUser(folder: string, home: string): Promise<Elsewhere | undefined> {
  if (!isRoot || !existsSync('/etc/subuid') || !existsSync('/etc/subgid')) return undefined
  const id = String(OTHER_USER)
  const reading = [`--reuid=${id}`, `--regid=${id}`, '--clear-groups', 'cat', packageFile('package.json')]
  if (!(await systemTools.run({ tool: 'setpriv', args: reading }).catch(() => undefined))) return undefined
  const name = 'keyvisor-elsewhere'
  mkdirSync(folder, { mode: 0o755 })
  const people = readFileSync('/etc/passwd', 'utf8')
  writeFileSync(join(folder, 'passwd'), `${people}${name}:x:${id}:${id}::${home}:/bin/sh\n`)
  for (const file of ['subuid', 'subgid'])
    writeFileSync(join(folder, file), `${name}:${SUBORDINATE.from}:${SUBORDINATE.count}\n`)
  mkdirSync(home, { mode: 0o700 })
  chownSync(home, OTHER_USER, OTHER_USER)
  const script = packageFile('test/support/builders/other-user.sh')
  const prefix = ['env', `FOLDER=${folder}`, `USER_ID=${id}`, 'unshare', '--mount', 'sh', '-eu', script]
  return difference('user, rootless', prefix, { HOME: home })
}

/** What a demo takes at most while it is built. */
const TMPFS_NEED = 6 * GiB

/** A folder on a tmpfs with room for a store; undefined where there is none. */
export function memoryFolder(): string | undefined {
  const { type, bavail, bsize } = statfsSync('/dev/shm')
  const TMPFS_MAGIC = 0x01021994 // statfs(2)
  return type === TMPFS_MAGIC && bavail * bsize >= TMPFS_NEED ? '/dev/shm' : undefined
}

/** Puts the packages of a lock into a new store, by links where that can be; for the user `owner`, by copies. */
export async function packagesFrom(lock: Lock, from: string, to: string, owner?: number): Promise<void> {
  const [source, target] = [await Store.open(from), await Store.open(to)]
  for (const { sha256, size } of Object.values(lock.packages)) {
    // A set that only another profile or the lab needs may not be there.
    if (!(await source.has(sha256, size))) continue
    const path = target.objectPath(sha256)
    mkdirSync(dirname(path), { recursive: true })
    if (owner) copyFileSync(source.objectPath(sha256), path)
    else linkOrCopy(source.objectPath(sha256), path)
  }
  if (owner) await systemTools.run({ tool: 'chown', args: ['-R', `${owner}:${owner}`, to] })
}

function linkOrCopy(source: string, target: string): void {
  try {
    linkSync(source, target)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EXDEV') throw error
    copyFileSync(source, target)
  }
}
