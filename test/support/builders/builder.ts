/**
 * Builds by the command line, as processes of their own that can be killed.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync, readlinkSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { packageFile } from '../../../src/base/package.js'
import type { ProgressEvent } from '../../../src/base/progress.js'
import { type Stages, stageList } from '../../../src/pipeline/stages.js'
import { objectPaths, readContents } from '../../../src/store/inventory.js'
import type { Store } from '../../../src/store/store.js'

/** The compiled program: `npm run build` makes it. */
export const PROGRAM = packageFile('dist/cli/main.js')

export interface BuildProcess {
  child: ChildProcess
  /** Settles when the builder has ended, whatever became of its children. */
  ended: Promise<{ code: number | null; signal: NodeJS.Signals | null; output: string }>
}

export interface BuildOptions {
  /** argv in front of the program, such as setpriv(1) with a user. */
  prefix?: readonly string[]
  env?: Readonly<Record<string, string>>
  cwd?: string
  onEvent?: (event: ProgressEvent) => void
}

/** Starts `keyvisor build` with `--json` and the arguments given. */
export function startBuild(store: string, args: readonly string[], options: BuildOptions = {}): BuildProcess {
  const argv = [...(options.prefix ?? []), process.execPath, PROGRAM, 'build', ...args, '--json']
  const env = { PATH: process.env['PATH'], HOME: process.env['HOME'], KEYVISOR_STORE: store, ...options.env }
  const child = spawn(argv[0] as string, argv.slice(1), {
    env,
    cwd: options.cwd,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const kept: string[] = []
  const keep = (line: string) => kept.push(line)
  createInterface({ input: child.stderr }).on('line', keep)
  createInterface({ input: child.stdout }).on('line', (line) => {
    const event = JSON.parse(line) as ProgressEvent
    if (!['bytes', 'note', 'start'].includes(event.kind)) keep(line.slice(0, 50_000))
    options.onEvent?.(event)
  })
  const ended = once(child, 'exit').then(([code, signal]) => ({ code, signal, output: kept.join('\n') }))
  return { child, ended }
}

/** Packages that are forgotten, the largest but for a few: enough to be fetched for a while. */
const FORGOTTEN = { from: 3, to: 12 }

/**
 * Makes sure that a stage is still to do: its result is removed from the store. `fetch` and `tools` come before the
 * stages of a plan: those lose some packages, and the tools trees.
 */
export async function forget(store: Store, stages: Stages, name: string): Promise<void> {
  if (name === 'tools') rmSync(join(store.folder, 'trees'), { recursive: true, force: true })
  if (name === 'fetch') await forgetPackages(store)
  const key = stageList(stages).find((stage) => stage.name === name)?.key
  if (key) rmSync(store.recordPath(key), { force: true })
}

async function forgetPackages(store: Store): Promise<void> {
  const { entries } = await readContents(store)
  const named = new Set(entries.filter(({ kind }) => kind === 'stage').flatMap(({ objects }) => objects))
  const packages = (await objectPaths(store)).filter((path) => ![...named].some((key) => path.endsWith(key)))
  packages.sort((a, b) => statSync(b).size - statSync(a).size)
  for (const path of packages.slice(FORGOTTEN.from, FORGOTTEN.to)) rmSync(path, { force: true })
}

/** Processes that have the word in their command line, environment or folder. */
export function processesWith(word: string): string[] {
  return readdirSync('/proc')
    .filter((pid) => /^\d+$/.test(pid) && Number(pid) !== process.pid)
    .flatMap((pid) => {
      const command = read(`/proc/${pid}/cmdline`).replaceAll('\0', ' ')
      const all = [command, read(`/proc/${pid}/environ`), folder(pid)]
      return all.some((text) => text.includes(word)) ? [`${pid} ${command.slice(0, 200)}`] : []
    })
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return '' // It ended while we looked.
  }
}

function folder(pid: string): string {
  try {
    return readlinkSync(`/proc/${pid}/cwd`)
  } catch {
    return ''
  }
}

export const sleep = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds))
