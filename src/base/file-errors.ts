/**
 * Files and disks that fail, in words: wherever it shows, in our own calls or in what a tool says.
 *
 * Node tells a failed system call by its errno(3), and mostly which file it was; of an open file it does not, and
 * {@link onFile} does. What is no system call on a file stays what it is: it may be our own bug.
 */
import { constants } from 'node:os'
import { KeyvisorError } from './errors.js'

interface Failure {
  code: string
  errno: string[]
  /** After "PATH cannot be opened: ". */
  words: string
  /** strerror(3), as tools tell it. apt-get(8) looks for room by itself, and has its own words. */
  said?: RegExp
  hint: string
}

const OTHER_PLACE = 'or name another place'

const FAILURES: Failure[] = [
  {
    code: 'no-space',
    errno: ['ENOSPC'],
    words: 'the disk got full',
    said: /No space left on device|You don't have enough free space/,
    hint: 'make room (see "keyvisor store prune --help"), and try again: a build goes on from there',
  },
  {
    code: 'no-space',
    errno: ['EDQUOT'],
    words: "the disk got full: this user's share of it is used up",
    said: /Disk quota exceeded/,
    hint: 'make room (see "keyvisor store prune --help"), or have the quota raised, and try again: a build goes on from there',
  },
  {
    code: 'disk-failed',
    errno: ['EIO'],
    words: 'the disk failed',
    said: /Input\/output error/,
    hint: "look into the kernel's log (dmesg), or use a folder on another disk (the store's is KEYVISOR_STORE)",
  },
  {
    code: 'disk-failed',
    errno: ['EROFS'],
    words: 'the file system is read-only',
    said: /Read-only file system/,
    hint: "name a place that can be written; where it could be once, the disk failed: the kernel's log (dmesg) says why",
  },
  {
    code: 'file-limit',
    errno: ['EFBIG'],
    words: 'the file gets larger than is allowed there',
    // The signal is that of setrlimit(2), as we, shells and apt-get tell it.
    said: /File too large|File size limit exceeded|SIGXFSZ|received signal 25\./,
    hint: 'use another file system than FAT32, whose files have less than 4 GiB, and look at the limit that "ulimit -f" prints',
  },
  {
    code: 'no-access',
    errno: ['EACCES', 'EPERM'],
    words: 'permission was denied',
    hint: `look with "ls -ld" who may, then change that, ${OTHER_PLACE}`,
  },
  {
    code: 'too-many-files',
    errno: ['EMFILE', 'ENFILE'],
    words: 'too many files are open',
    said: /Too many open files/,
    hint: 'raise the limit, and try again: ulimit -n 4096',
  },
  {
    code: 'no-such-file',
    errno: ['ENOENT'],
    words: 'there is no such file or folder',
    hint: 'make it, or correct the path',
  },
  {
    code: 'bad-path',
    errno: ['ENOTDIR'],
    words: 'a part of the path is a file, and no folder',
    hint: 'correct the path, or move that file out of the way',
  },
  {
    code: 'bad-path',
    errno: ['EISDIR'],
    words: 'it is a folder',
    hint: 'name a file',
  },
  {
    code: 'bad-path',
    errno: ['EEXIST', 'ENOTEMPTY'],
    words: 'something else is there already',
    hint: `move it out of the way, ${OTHER_PLACE}`,
  },
  {
    code: 'bad-path',
    errno: ['ELOOP'],
    words: 'its symbolic links lead round in a circle',
    hint: `mend the links, ${OTHER_PLACE}`,
  },
  {
    code: 'bad-path',
    errno: ['ENAMETOOLONG'],
    words: 'the name is too long for the file system',
    hint: 'use a shorter path',
  },
  {
    code: 'bad-path',
    errno: ['EXDEV'],
    words: 'the two places are on different file systems',
    hint: 'have the whole folder on one file system',
  },
]

/** Whatever else the system says. */
const OTHER = {
  code: 'file-failed',
  hint: "look into the kernel's log (dmesg), then try again",
}

/** Only a mistake of ours makes these. */
const OURS = ['EBADF', 'EFAULT']

/** What could not be done, by Node's name of the call. */
const UNDONE: Record<string, string> = {
  open: 'opened',
  read: 'read',
  write: 'written',
  close: 'written to its end',
  mkdir: 'made',
  mkdtemp: 'made',
  rename: 'put in its place',
  link: 'linked',
  symlink: 'linked',
  copyfile: 'copied',
  ftruncate: 'given its size',
  truncate: 'given its size',
  fsync: 'written for good',
  fdatasync: 'written for good',
  unlink: 'removed',
  rm: 'removed',
  rmdir: 'removed',
  scandir: 'read',
  opendir: 'read',
  readlink: 'read',
  realpath: 'found',
  stat: 'looked at',
  lstat: 'looked at',
  fstat: 'looked at',
  statfs: 'looked at',
  access: 'used',
  chmod: 'given its mode',
  fchmod: 'given its mode',
  utime: 'given its time',
  futime: 'given its time',
}

/** What failed was done in this place, at this work. */
export interface Circumstances {
  /** What was being done, such as a stage's title. */
  doing?: string
  /** Path of what is likely to be meant where the error names none. */
  place?: string
}

/** A failed system call on a file. */
type FileCallError = NodeJS.ErrnoException & { code: string; syscall: string; dest?: string }

function isFileCall(error: unknown): error is FileCallError {
  if (!(error instanceof Error)) return false
  const { errno, code, syscall } = error as NodeJS.ErrnoException
  if (typeof errno !== 'number' || code === undefined || OURS.includes(code)) return false
  return syscall !== undefined && Object.hasOwn(UNDONE, syscall)
}

/** Does some work. A file or disk that fails it is told in words, with what was being done. */
export async function onDisk<T>(doing: string, work: () => Promise<T>, place?: string): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw fileError(error, { doing, ...(place === undefined ? {} : { place }) }) ?? error
  }
}

/** Does some work on an open file, of which Node's errors do not say which it was. */
export async function onFile<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (isFileCall(error)) error.path ??= path
    throw error
  }
}

/** A file or disk that failed, in words; undefined when it was something else. */
export function fileError(error: unknown, at: Circumstances = {}): KeyvisorError | undefined {
  if (isFileCall(error)) return callError(error, at)
  // Not of one that never started: the kernel says ENOSPC of namespaces, and bubblewrap EROFS of its own mounts.
  if (!(error instanceof KeyvisorError) || !['tool-failed', 'tool-killed'].includes(error.code))
    return undefined
  const found = FAILURES.find(({ said }) => said?.test(error.message))
  if (!found) return undefined
  const message = `${found.words}${atThis(at)}\n${error.message}`
  return new KeyvisorError(found.code, message, { hint: found.hint, cause: error })
}

function callError(error: FileCallError, at: Circumstances): KeyvisorError {
  const { path = at.place ?? 'a file', dest, syscall } = error
  const { code, hint } = failureOf(error) ?? OTHER
  const which = dest === undefined ? path : `${path} (as ${dest})`
  const message = `${which} cannot be ${UNDONE[syscall]}: ${errorWords(error)}${atThis(at)}`
  return new KeyvisorError(code, message, { hint, cause: error })
}

function atThis({ doing }: Circumstances): string {
  return doing === undefined ? '' : `, at this: ${doing}`
}

function failureOf(error: NodeJS.ErrnoException): Failure | undefined {
  const name = errnoName(error)
  return FAILURES.find(({ errno }) => errno.includes(name))
}

/** Node's own names leave some out, EDQUOT among them: there `code` is "Unknown system error -122". */
function errnoName({ code = '', errno = 0 }: NodeJS.ErrnoException): string {
  const known = Object.entries(constants.errno).find(([, number]) => number === -errno)
  return known?.[0] ?? code
}

/** The reason alone, such as `permission was denied`; of what is no system call, its message. */
export function errorWords(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const found = failureOf(error)
  if (found) return found.words
  const { errno } = error as NodeJS.ErrnoException
  return errno === undefined ? error.message : `the system says ${errnoName(error)}`
}

/** What mends it, for an error that says in words of its own what went wrong. */
export function errorHint(error: unknown): string {
  if (error instanceof KeyvisorError && error.hint !== undefined) return error.hint
  return (error instanceof Error ? failureOf(error) : undefined)?.hint ?? OTHER.hint
}

/** What was asked for, or undefined where there is nothing of that name. Every other error is one. */
export async function ifThere<T>(asked: Promise<T>): Promise<T | undefined> {
  try {
    return await asked
  } catch (error) {
    if (isAbsent(error)) return undefined
    throw error
  }
}

/** Nothing has this name. */
export function isAbsent(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === 'ENOENT'
}

/** The disk cannot give back what was written: whatever stood there is lost, and can be made anew. */
export function isLost(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === 'EIO'
}
