/**
 * How a tool fails: it is not there, it never started, a signal ended it, it hung, or it said no by its exit code.
 *
 * Only the last is an answer. Who reads one matches {@link ToolError.status}, and passes everything else on.
 */
import { type ErrorOptions, KeyvisorError } from './errors.js'
import { lookUp } from './lookup.js'

/**
 * `tool-missing`: there is no such program. `tool-unstarted`: it never ran (no memory for it, no sandbox).
 * `tool-killed`: a signal ended it. `tool-timeout`: it hung. `tool-failed`: it ended with an exit code of its own.
 */
export type ToolErrorCode = 'tool-missing' | 'tool-unstarted' | 'tool-killed' | 'tool-timeout' | 'tool-failed'

/** How a tool ended that did run. */
interface Ending {
  status?: number
  signal?: string
}

export class ToolError extends KeyvisorError {
  declare readonly code: ToolErrorCode
  /** The tool's own exit code; undefined unless it ended by itself. */
  readonly status: number | undefined
  /** The signal that ended it, such as `SIGSEGV`. */
  readonly signal: string | undefined

  constructor(code: ToolErrorCode, message: string, options: ErrorOptions & Ending = {}) {
    super(code, message, options)
    this.status = options.status
    this.signal = options.signal
  }
}

/** The tool's own exit code, where that is what went wrong: its answer, if one of these codes is one. */
export function exitStatus(error: unknown): number | undefined {
  return error instanceof ToolError ? error.status : undefined
}

/** Lines of stderr that an error shows. */
const SHOWN_LINES = 12

/** What was called, for people: with its sandbox where that is short. */
export interface Called {
  tool: string
  args: readonly string[]
  argv: readonly string[]
}

export function missing(program: string): ToolError {
  return new ToolError('tool-missing', `${program} is not on this machine`, {
    hint: `install it: apt-get install ${lookUp(PACKAGES, program) ?? program}`,
  })
}

/** A program that a damaged tools tree has lost. */
export function missingInTree(program: string, tree: string): ToolError {
  return new ToolError('tool-missing', `${program} is not in the tools tree ${tree}`, {
    hint: 'run "keyvisor store verify", which removes what is damaged',
  })
}

/** The Debian package of each program that we start outside a tools tree, where the names differ. */
const PACKAGES: Record<string, string> = {
  bwrap: 'bubblewrap',
  unshare: 'util-linux',
  setpriv: 'util-linux',
  'dpkg-deb': 'dpkg',
  'apt-get': 'apt',
  'apt-cache': 'apt',
  'apt-config': 'apt',
  '/usr/lib/apt/apt-helper': 'apt',
  sgdisk: 'gdisk',
  sfdisk: 'fdisk',
  unsquashfs: 'squashfs-tools',
  'mkfs.vfat': 'dosfstools',
  ssh: 'openssh-client',
  'ssh-keygen': 'openssh-client',
  'ssh-keyscan': 'openssh-client',
  mdel: 'mtools',
  mksquashfs: 'squashfs-tools',
  mke2fs: 'e2fsprogs',
  mformat: 'mtools',
  mcopy: 'mtools',
  mmd: 'mtools',
  'grub-mkimage': 'grub-common',
  veritysetup: 'cryptsetup-bin',
  'qemu-img': 'qemu-utils',
  xz: 'xz-utils',
}

/** errno(3) of a program that the system does not start, in words; `EAGAIN` is RLIMIT_NPROC, or a cgroup's. */
const UNSTARTED: Record<string, string> = {
  EAGAIN: 'too many processes run (see "ulimit -u")',
  ENOMEM: 'there is not enough memory',
  EMFILE: 'too many files are open (see "ulimit -n")',
  ENFILE: 'too many files are open on this machine',
  EACCES: 'it may not be executed',
  E2BIG: 'its arguments are too long',
}

/** A process that could not be made. */
export function unstarted(program: string, cause: NodeJS.ErrnoException): ToolError {
  const why = lookUp(UNSTARTED, cause.code ?? '') ?? cause.message
  return new ToolError('tool-unstarted', `${program} cannot be started: ${why}`, { hint: ROOM, cause })
}

const ROOM = 'see what else runs on this machine, and try again'

/** A tool that never ran, since what should have started it failed, and said so. */
export function notStarted(called: Called, output: string): ToolError {
  const message = `${called.tool} could not be started\n${shown(called, output)}`
  return new ToolError('tool-unstarted', message, { hint: ROOM })
}

/** As {@link notStarted}, of an error that already has the words of what should have started the tool. */
export function neverRan(error: ToolError): ToolError {
  const message = error.message.replace(/ failed \(exit code \d+\)/, ' could not be started')
  return new ToolError('tool-unstarted', message, { hint: ROOM, cause: error })
}

export function failed(called: Called, status: number, output: string): ToolError {
  const message = `${called.tool} failed (exit code ${status})\n${shown(called, output)}`
  return new ToolError('tool-failed', message, { hint: WORDLESS, status })
}

export function killed(called: Called, signal: string, output: string): ToolError {
  const message = `${called.tool} failed (ended by ${signal})\n${shown(called, output)}`
  return new ToolError('tool-killed', message, { hint: KILLED, signal })
}

/** Of an error that tells by an exit code, as shells do, what signal ended a child of the tool. */
export function childKilled(error: ToolError, signal: string): ToolError {
  const message = error.message.replace(/\(exit code \d+\)/, `(ended by ${signal})`)
  return new ToolError('tool-killed', message, { hint: KILLED, signal, cause: error })
}

export function hung(called: Called, seconds: number, output: string): ToolError {
  const message = `${called.tool} did not end within ${seconds} s\n${shown(called, output)}`
  return new ToolError('tool-timeout', message)
}

const WORDLESS =
  "its own words say why; where they do not, a failing disk is in the kernel's log (dmesg). Then try again"
const KILLED = "where memory ran out, the kernel's log (dmesg) says so. Then try again"

function shown({ tool, args, argv }: Called, output: string): string {
  const tail = output.trimEnd().split('\n').slice(-SHOWN_LINES)
  const command = argv.length > 60 ? [tool, ...args] : argv
  return [`  command: ${command.join(' ').slice(0, 2000)}`, ...tail.map((line) => `  | ${line}`)].join('\n')
}

/** The end of what a tool said that failed or hung, line by line: of an error that a `ToolRunner` gave. */
export function lastWords({ message }: Pick<Error, 'message'>): string[] {
  return message.split('\n').flatMap((line) => /^ {2}\| (.*)/.exec(line)?.[1] ?? [])
}

/** Lines: what went wrong stands in the last, or the one before. */
const LAST_WORDS = 3

/** Such an error in one line: the reason and the tool's last words. Its arguments would hide them. */
export function inOneLine(error: Pick<Error, 'message'>): string {
  return [error.message.split('\n')[0], ...lastWords(error).slice(-LAST_WORDS)].join('; ')
}
