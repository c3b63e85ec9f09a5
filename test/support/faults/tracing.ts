/**
 * The command line under strace(1): which calls it makes of which files, and what becomes of it when one of them fails.
 *
 * Every run has the same names for what it makes: a path is then enough to say which call is meant.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { PROGRAM } from '../builders/builder.js'
import type { Fault } from './errnos.js'

/** What strace(1) saw: a call of a file, by a path that names it in every run. */
export interface Call {
  call: string
  path: string
  /** By which `-P` knows it: of the two paths of rename(2), strace 6.1 looks at the first alone. */
  matched: string
}

export interface Ran {
  code: number | null
  stdout: string
  stderr: string
  /** Lines of calls that were answered with a fault. */
  hits: string[]
}

/** The program with the arguments of a run, and where it runs. */
export interface Command {
  args: readonly string[]
  /** Its current folder; strace's log lies there, too. */
  folder: string
  store: string
  /** Called as it writes to stdout: with SIGINT it ends what has no end of its own. */
  isEnough?: (stdout: string) => boolean
}

/**
 * Loaded before the program: a name made of random bytes and a process id is the same in every run. The id is that of the
 * tests: of a process that lives, as the owner of scratch must.
 */
const SAME_NAMES = `
import crypto from 'node:crypto'
import { syncBuiltinESMExports } from 'node:module'
let count = 0
crypto.randomBytes = (size) => { const name = Buffer.alloc(size); name.writeUInt32BE(++count, size - 4); return name }
syncBuiltinESMExports()
Object.defineProperty(process, 'pid', { value: ${process.pid} })`

/** Seconds until a run counts as hung. */
const HUNG = 300

/** Runs it to its end, and tells the calls it makes of files below its folder. */
export async function traced(command: Command, calls: readonly string[]): Promise<Ran & { calls: Call[] }> {
  const ran = await run(command, ['-y', '-s', '1', '-e', `trace=${calls.join(',')}`])
  const lines = readLog(command)
  const found = lines.flatMap((line) => callOf(line, command.folder) ?? [])
  const unique = new Map(found.map((one) => [`${one.call} ${one.path}`, one]))
  return { ...ran, calls: [...unique.values()] }
}

/** Runs it with the first such call of the path failing, in each of its threads and tools. */
export async function failing(command: Command, { call, matched }: Call, { errno }: Fault): Promise<Ran> {
  const paths = namesOf(matched).flatMap((path) => ['-P', path])
  return run(command, [...paths, '-e', `trace=${call}`, '-e', `inject=${call}:error=${errno}:when=1`])
}

/** More than names are made in a run. */
const MOST_NAMES = 64

/** Scratch is numbered as it is made, by stages that run side by side: its number is another one in each run. */
function namesOf(path: string): string[] {
  const [, before, after] = /^(.*\/tmp\/\d+-\d+-[^/]*-)[0-9a-f]{8}(?![0-9a-f])(.*)$/.exec(path) ?? []
  if (before === undefined) return [path]
  return Array.from({ length: MOST_NAMES }, (_, index) => {
    return `${before}${(index + 1).toString(16).padStart(8, '0')}${after}`
  })
}

async function run(command: Command, options: readonly string[]): Promise<Ran> {
  const strace = ['-f', '--seccomp-bpf', '-qq', '-e', 'signal=none', '-o', logFile(command), ...options]
  const names = `data:text/javascript,${encodeURIComponent(SAME_NAMES)}`
  const child = spawn('strace', [...strace, process.execPath, '--import', names, PROGRAM, ...command.args], {
    cwd: command.folder,
    env: { PATH: process.env['PATH'], HOME: command.folder, KEYVISOR_STORE: command.store },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  })
  const texts = { stdout: '', stderr: '' }
  const end = (signal: NodeJS.Signals) => void process.kill(-(child.pid as number), signal)
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', (text: string) => {
      texts[name] += text
      if (command.isEnough?.(texts.stdout)) end('SIGINT')
    })
  }
  const hung = setTimeout(() => end('SIGKILL'), HUNG * 1000)
  const [code] = (await once(child, 'close')) as [number | null]
  clearTimeout(hung)
  return { code, ...texts, hits: readLog(command).filter((line) => line.includes('(INJECTED)')) }
}

function logFile({ folder }: Command): string {
  return join(folder, '..', 'strace.log')
}

/** Calls that another thread interrupted are put together again. */
function readLog(command: Command): string[] {
  const open = new Map<string, string>()
  return readFileSync(logFile(command), 'utf8')
    .split('\n')
    .flatMap((line) => {
      const [, id = '', rest = ''] = /^(\d+) +(.*)$/.exec(line) ?? []
      const begun = /^(.*) <unfinished \.\.\.>$/.exec(rest)?.[1]
      if (begun !== undefined) {
        open.set(id, begun)
        return []
      }
      const resumed = /^<\.\.\. \w+ resumed>(.*)$/.exec(rest)?.[1]
      return [resumed === undefined ? rest : (open.get(id) ?? '') + resumed]
    })
}

/** Calls that name no path. */
const OF_OPEN_FILES = ['write', 'pwrite64', 'ftruncate', 'fsync']

/** Undefined where it is of no file below the folder, or rm(1) names it by its open folder, which `-P` cannot follow. Of two paths it is the final one, which is no scratch. */
function callOf(line: string, folder: string): Call | undefined {
  const [, call = '', rest = ''] = /^(\w+)\((.*)$/.exec(line) ?? []
  const paths = OF_OPEN_FILES.includes(call)
    ? [/^\d+<(\/[^>]*)>/.exec(rest)?.[1] ?? '']
    : [...rest.matchAll(/"(\/[^"]*)"/g)].map(([, name]) => name as string)
  const ours = paths.filter((path) => path.startsWith(`${folder}/`) && !path.includes('data:'))
  const path = ours.find((one) => !/\/tmp\//.test(one.slice(folder.length))) ?? ours[0]
  return path === undefined
    ? undefined
    : { call, path, matched: call === 'rename' ? (paths[0] as string) : path }
}
