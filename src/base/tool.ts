/**
 * Tools: the only place that starts a process.
 *
 * Callers are handed a {@link ToolRunner} and name a tool; whether it comes from a tools tree (through
 * bubblewrap) or from the machine itself is settled where the runner is made.
 *
 * A tool runs in a process group of its own, which is ended as a group: a cancelled build leaves no children
 * (kill(2)). When the builder itself is killed, bubblewrap's `--die-with-parent` and setpriv's `--pdeathsig`
 * end them (prctl(2), PR_SET_PDEATHSIG).
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, readdirSync, readlinkSync } from 'node:fs'
import type { FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline, Readable, type Writable } from 'node:stream'
import { Interrupted, KeyvisorError } from './errors.js'

/** A host path that a tool may see, at the same place. */
export interface Bind {
  path: string
  write?: boolean
  /** A device node, such as `/dev/kvm`. */
  device?: boolean
}

export interface ToolCall {
  /** Name of the program, such as `mksquashfs`. */
  tool: string
  args: readonly string[]
  /** What a tool from a tools tree may see. The machine's own tools see everything. */
  binds?: readonly Bind[]
  /** Added to a small fixed environment: nothing of the user's own environment reaches a tool. */
  env?: Readonly<Record<string, string>>
  /** A stream is destroyed when the tool ends before it has read all of it. */
  input?: string | Uint8Array | Readable
  /** Takes the tool's stdout in place of {@link ToolResult}: for output that is no text, or has no bound. */
  output?: FileHandle
  /** Folder to run in; must be bound. */
  cwd?: string
  /** The tool may use the network. Default false. */
  network?: boolean
  /** Called for each line of stdout and stderr as it comes. */
  onLine?: (line: string) => void
  signal?: AbortSignal
  /** Seconds until the tool is ended as hung. Default: none. */
  timeout?: number
}

export interface ToolResult {
  stdout: string
  stderr: string
}

export interface ToolRunner {
  /** The argv that would run this call inside a script of ours that is root already, in a namespace or for real. */
  argv(call: ToolCall): string[]
  /** Runs to the end. Throws KeyvisorError `tool-missing`, `tool-failed`, `tool-timeout`, or Interrupted. */
  run(call: ToolCall): Promise<ToolResult>
}

/** A tool's whole environment, but for what the call adds. C.UTF-8 and UTC: the same bytes everywhere. */
const ENVIRONMENT = {
  PATH: '/usr/sbin:/usr/bin:/sbin:/bin',
  LC_ALL: 'C.UTF-8',
  TZ: 'UTC',
  HOME: '/nonexistent',
}

/** Output kept of a tool: enough for any answer that we parse, not for a runaway. */
const KEPT_OUTPUT = 64 << 20

/** Lines of stderr that an error shows. */
const SHOWN_LINES = 12

/** The machine's own tools. */
export const systemTools: ToolRunner = {
  argv: (call) => ['setpriv', '--pdeathsig', 'KILL', '--', call.tool, ...call.args],
  run(call) {
    // setpriv would only say that it cannot execute it.
    if (which(call.tool) === undefined) return Promise.reject(missing(call.tool))
    return start(this.argv(call), call)
  },
}

/** Tools from an unpacked Debian tree, each call in a sandbox that sees only the tree and what is bound. */
export function treeTools(tree: string): ToolRunner {
  return {
    argv: (call) => bubblewrap(tree, call, true),
    run: (call) => start(bubblewrap(tree, call, process.getuid?.() === 0), call),
  }
}

/**
 * The bubblewrap argv (bwrap(1)). The root is an empty tmpfs into which the tree's top level is bound, so that
 * binds can be made at any path. As root no user namespace is made: `--unshare-user` maps uid 0 alone, and
 * files of other owners could not be read.
 */
function bubblewrap(tree: string, call: ToolCall, root: boolean): string[] {
  const argv = ['bwrap', '--die-with-parent', '--unshare-ipc', '--unshare-pid', '--unshare-uts']
  if (!call.network) argv.push('--unshare-net')
  if (!root) argv.push('--unshare-user', '--uid', '0', '--gid', '0')
  argv.push(...treeBinds(tree), '--dev', '/dev', '--proc', '/proc', '--tmpfs', '/tmp')
  if (call.network) argv.push('--ro-bind-try', '/etc/resolv.conf', '/etc/resolv.conf')
  for (const bind of orderedBinds(call.binds ?? [])) {
    argv.push(bind.device ? '--dev-bind' : bind.write ? '--bind' : '--ro-bind', bind.path, bind.path)
  }
  argv.push('--clearenv')
  for (const [name, value] of Object.entries({ ...ENVIRONMENT, ...call.env }))
    argv.push('--setenv', name, value)
  if (call.cwd) argv.push('--chdir', call.cwd)
  return [...argv, '--', call.tool, ...call.args]
}

/** Parents first, and of one path the writable last: what is read must not cover what is written. */
function orderedBinds(binds: readonly Bind[]): Bind[] {
  return [...binds].sort(
    (a, b) => a.path.length - b.path.length || Number(a.write ?? 0) - Number(b.write ?? 0),
  )
}

/** Only what programs are made of: a tree's empty /root or /var would stand in the way of binds below them. */
function treeBinds(tree: string): string[] {
  const links = readdirSync(tree, { withFileTypes: true }).filter((entry) => entry.isSymbolicLink())
  return [
    ...links.flatMap(({ name }) => ['--symlink', readlinkSync(join(tree, name)), `/${name}`]),
    ...['--ro-bind', join(tree, 'usr'), '/usr', '--ro-bind', join(tree, 'etc'), '/etc'],
  ]
}

/** Finds a program, given by path or else on the machine's own PATH; undefined when there is none. */
export function which(tool: string): string | undefined {
  if (tool.includes('/')) return existsSync(tool) ? tool : undefined
  return ENVIRONMENT.PATH.split(':')
    .map((folder) => join(folder, tool))
    .find((path) => existsSync(path))
}

/** A process under way, and how to end it with all its children. */
function start(argv: string[], call: ToolCall): Promise<ToolResult> {
  if (call.signal?.aborted) return Promise.reject(new Interrupted())
  return new Promise((resolve, reject) => {
    const [program, ...args] = argv as [string, ...string[]]
    const child = spawn(program, args, {
      detached: true,
      cwd: call.cwd,
      env: { ...ENVIRONMENT, ...call.env },
      stdio: ['pipe', call.output?.fd ?? 'pipe', 'pipe'],
    })
    let outcome: 'running' | 'aborted' | 'timeout' = 'running'
    const end = (why: 'aborted' | 'timeout') => {
      outcome = why
      endGroup(child.pid)
    }
    const onAbort = () => end('aborted')
    call.signal?.addEventListener('abort', onAbort)
    const timer = call.timeout ? setTimeout(() => end('timeout'), call.timeout * 1000) : undefined
    const stdout = child.stdout ? collect(child.stdout, call.onLine) : () => ''
    const stderr = collect(child.stderr as Readable, call.onLine)
    const settle = (result: () => void) => {
      clearTimeout(timer)
      call.signal?.removeEventListener('abort', onAbort)
      result()
    }
    feed(child, call.input)
    child.on('error', (error: NodeJS.ErrnoException) => settle(() => reject(unstarted(program, error))))
    child.on('close', (code, signal) =>
      settle(() => {
        if (outcome === 'aborted') reject(new Interrupted())
        else if (outcome === 'timeout') reject(hung(argv, call, stderr()))
        else if (code === 0) resolve({ stdout: stdout(), stderr: stderr() })
        else reject(failed(argv, call, code ?? signal, stderr() || stdout()))
      }),
    )
  })
}

/** A tool that ends early closes its stdin: that shows in its exit code, not here. */
function feed({ stdin }: ChildProcess, input: ToolCall['input']): void {
  if (input instanceof Readable) {
    pipeline(input, stdin as Writable, () => {})
    return
  }
  stdin?.on('error', () => {})
  stdin?.end(input)
}

function endGroup(pid: number | undefined): void {
  if (pid === undefined) return
  try {
    process.kill(-pid, 'SIGKILL')
  } catch {
    // It ended by itself in the meantime.
  }
}

function collect(stream: NodeJS.ReadableStream, onLine: ((line: string) => void) | undefined): () => string {
  const chunks: string[] = []
  let kept = 0
  let rest = ''
  stream.setEncoding('utf8')
  stream.on('data', (chunk: string) => {
    if (kept < KEPT_OUTPUT) chunks.push(chunk)
    kept += chunk.length
    if (!onLine) return
    const lines = (rest + chunk).split('\n')
    rest = lines.pop() as string
    for (const line of lines) onLine(line)
  })
  stream.on('end', () => {
    if (rest && onLine) onLine(rest)
  })
  return () => chunks.join('')
}

function unstarted(program: string, cause: NodeJS.ErrnoException): KeyvisorError {
  if (cause.code === 'ENOENT') return missing(program)
  return new KeyvisorError('tool-failed', `${program} cannot be started: ${cause.message}`, { cause })
}

function missing(program: string): KeyvisorError {
  return new KeyvisorError('tool-missing', `${program} is not on this machine`, {
    hint: `install it: apt-get install ${PACKAGES[program] ?? program}`,
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
  mtype: 'mtools',
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
  'qemu-system-x86_64': 'qemu-system-x86',
  xz: 'xz-utils',
}

function failed(
  argv: string[],
  call: ToolCall,
  status: number | string | null,
  output: string,
): KeyvisorError {
  const reason = typeof status === 'number' ? `exit code ${status}` : `ended by ${status}`
  const hint = typeof status === 'number' ? WORDLESS : KILLED
  return new KeyvisorError('tool-failed', `${call.tool} failed (${reason})\n${shown(argv, call, output)}`, {
    hint,
  })
}

const WORDLESS =
  "its own words say why; where they do not, a failing disk is in the kernel's log (dmesg). Then try again"
const KILLED = "where memory ran out, the kernel's log (dmesg) says so. Then try again"

/** The end of what a tool said that failed or hung, line by line: of an error that a {@link ToolRunner} gave. */
export function lastWords({ message }: Pick<Error, 'message'>): string[] {
  return message.split('\n').flatMap((line) => /^ {2}\| (.*)/.exec(line)?.[1] ?? [])
}

/** Lines: what went wrong stands in the last, or the one before. */
const LAST_WORDS = 3

/** Such an error in one line: the reason and the tool's last words. Its arguments would hide them. */
export function inOneLine(error: Pick<Error, 'message'>): string {
  return [error.message.split('\n')[0], ...lastWords(error).slice(-LAST_WORDS)].join('; ')
}

function hung(argv: string[], call: ToolCall, output: string): KeyvisorError {
  const message = `${call.tool} did not end within ${call.timeout} s\n${shown(argv, call, output)}`
  return new KeyvisorError('tool-timeout', message)
}

function shown(argv: string[], call: ToolCall, output: string): string {
  const tail = output.trimEnd().split('\n').slice(-SHOWN_LINES)
  const command = argv.length > 60 ? [call.tool, ...call.args] : argv
  return [`  command: ${command.join(' ').slice(0, 2000)}`, ...tail.map((line) => `  | ${line}`)].join('\n')
}
