/**
 * The compiled command line as a subprocess: what a user starts.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const PROGRAM = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url))

export interface Ended {
  code: number | null
  stdout: string
  stderr: string
}

export interface Started {
  child: ChildProcess
  ended: Promise<Ended>
  /** Resolves when stderr has said this; rejects when the program ended without. */
  said(text: string): Promise<void>
}

export interface Surroundings {
  cwd?: string
  env?: Record<string, string>
}

/** Starts `keyvisor ARGS`. Nobody's colours or locale get into what it prints. */
export function start(args: string[], { cwd, env = {} }: Surroundings = {}): Started {
  if (!existsSync(PROGRAM)) throw new Error(`${PROGRAM} is missing: run npm run build`)
  const { PATH = '', HOME = '' } = process.env
  const child = spawn(process.execPath, [PROGRAM, ...args], { cwd, env: { PATH, HOME, ...env } })
  const texts = { stdout: '', stderr: '' }
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', (text: string) => {
      texts[name] += text
      child.emit('said')
    })
  }
  const ended = new Promise<Ended>((resolve) => child.on('close', (code) => resolve({ code, ...texts })))
  const said = (text: string) =>
    new Promise<void>((resolve, reject) => {
      const look = () => texts.stderr.includes(text) && resolve()
      child.on('said', look)
      look()
      ended.then(() => reject(new Error(`it never said ${text}, but:\n${texts.stderr}`)))
    })
  return { child, ended, said }
}

/** Runs `keyvisor ARGS` to its end. */
export function keyvisor(args: string[], surroundings?: Surroundings): Promise<Ended> {
  return start(args, surroundings).ended
}

/** What `keyvisor ARGS` shows on a terminal of so many columns, which script(1) makes. */
export function onTerminal(args: string, columns: number, { cwd, env = {} }: Surroundings = {}): string {
  const { PATH = '', HOME = '' } = process.env
  const command = `stty cols ${columns} && "$NODE" "$PROGRAM" ${args}`
  const { stdout } = spawnSync('script', ['-qec', command, '/dev/null'], {
    cwd,
    encoding: 'utf8',
    env: { PATH, HOME, TERM: 'xterm', NODE: process.execPath, PROGRAM, ...env },
  })
  return stdout.replaceAll('\r', '')
}
