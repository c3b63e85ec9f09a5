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
import { existsSync } from 'node:fs'
import type { FileHandle } from 'node:fs/promises'
import { constants } from 'node:os'
import { join } from 'node:path'
import { pipeline, Readable, type Writable } from 'node:stream'
import { Interrupted, type KeyvisorError } from './errors.js'
import { type Bind, namespaceRefused, refusesNamespace, sandboxArguments } from './sandbox.js'
import {
  type Called,
  failed,
  hung,
  killed,
  missing,
  missingInTree,
  notStarted,
  unstarted,
} from './tool-errors.js'

export type { Bind } from './sandbox.js'

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
  /** Runs to the end. Throws ToolError, KeyvisorError `namespace-refused` and `cannot-bind`, or Interrupted. */
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
    // As a rejection, also what the sandbox refuses before anything runs.
    run: async (call) => {
      const argv = bubblewrap(tree, call, process.getuid?.() === 0)
      argv.splice(1, 0, '--json-status-fd', `${STATUS_FD}`)
      return start(argv, call, tree)
    },
  }
}

/** Where bubblewrap tells the exit code of what it started: nothing, where it never came to that. */
const STATUS_FD = 3

function bubblewrap(tree: string, call: ToolCall, root: boolean): string[] {
  const { binds = [], network = false } = call
  const argv = ['bwrap', ...sandboxArguments({ tree, binds, network, root }), '--clearenv']
  for (const [name, value] of Object.entries({ ...ENVIRONMENT, ...call.env }))
    argv.push('--setenv', name, value)
  if (call.cwd) argv.push('--chdir', call.cwd)
  return [...argv, '--', call.tool, ...call.args]
}

/** Finds a program, given by path or else on the machine's own PATH; undefined when there is none. */
export function which(tool: string): string | undefined {
  if (tool.includes('/')) return existsSync(tool) ? tool : undefined
  return ENVIRONMENT.PATH.split(':')
    .map((folder) => join(folder, tool))
    .find((path) => existsSync(path))
}

/** A process under way, and how to end it with all its children. `tree` where it is bubblewrap. */
function start(argv: string[], call: ToolCall, tree?: string): Promise<ToolResult> {
  if (call.signal?.aborted) return Promise.reject(new Interrupted())
  return new Promise((resolve, reject) => {
    const [program, ...args] = argv as [string, ...string[]]
    const child = spawned(program, args, call, tree !== undefined)
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
    const told = tree ? collect(child.stdio[STATUS_FD] as Readable, undefined) : () => ''
    const settle = (result: () => void) => {
      clearTimeout(timer)
      call.signal?.removeEventListener('abort', onAbort)
      result()
    }
    feed(child, call.input)
    child.on('error', (error: NodeJS.ErrnoException) =>
      settle(() => reject(error.code === 'ENOENT' ? missing(program) : unstarted(program, error))),
    )
    child.on('close', (code, signal) =>
      settle(() => {
        const called = { tool: call.tool, args: call.args, argv }
        const said = stderr()
        if (outcome === 'aborted') reject(new Interrupted())
        else if (outcome === 'timeout') reject(hung(called, call.timeout as number, said))
        else if (code === 0) resolve({ stdout: stdout(), stderr: said })
        else if (code === null) reject(killed(called, `${signal}`, said))
        else reject(ending(called, code, said || stdout(), tree ? { tree, told: told() } : undefined))
      }),
    )
  })
}

/** Throws ToolError for what node does not tell by an event, such as E2BIG. */
function spawned(program: string, args: string[], call: ToolCall, tellsStatus: boolean): ChildProcess {
  try {
    return spawn(program, args, {
      detached: true,
      // Our own may be gone: somebody removed it.
      cwd: call.cwd ?? '/',
      env: { ...ENVIRONMENT, ...call.env },
      stdio: ['pipe', call.output?.fd ?? 'pipe', 'pipe', ...(tellsStatus ? ['pipe' as const] : [])],
    })
  } catch (error) {
    throw unstarted(program, error as NodeJS.ErrnoException)
  }
}

/** What an exit code other than 0 means: the tool's own answer, or that what should have started it could not. */
function ending(
  called: Called,
  code: number,
  output: string,
  sandbox: { tree: string; told: string } | undefined,
): KeyvisorError {
  if (!sandbox) return /^setpriv: /.test(output) ? notStarted(called, output) : failed(called, code, output)
  if (sandbox.told.includes('"exit-code"')) {
    const signal = signalOf(code)
    return signal ? killed(called, signal, output) : failed(called, code, output)
  }
  if (/^bwrap: execvp .*: No such file/m.test(output)) return missingInTree(called.tool, sandbox.tree)
  const cause = notStarted(called, output)
  return refusesNamespace(output) ? namespaceRefused(cause) : cause
}

/** What bubblewrap tells of a signal, as shells do: 128 and its number. */
export function signalOf(code: number): string | undefined {
  return Object.entries(constants.signals).find(([, number]) => number === code - 128)?.[0]
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
