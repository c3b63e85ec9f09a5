/**
 * What a fault must not do: an error is in words, names a path and a way on, and leaves nothing half-written.
 *
 * Left out: which calls fail (`errnos.ts`), and how they are made to (`tracing.ts`).
 */
import { existsSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { sha256File } from '../../../src/base/digests.js'
import { objectPaths, recordKeys } from '../../../src/store/inventory.js'
import type { Store } from '../../../src/store/store.js'
import { ERRNOS, type Fault } from './errnos.js'
import { type Call, type Command, failing, type Ran, traced } from './tracing.js'

/** A verb in a state of its files from which every run begins. */
export interface Verb extends Command {
  name: string
  /** Puts all files into that state. */
  ready: () => void | Promise<void>
  /** What it writes, by path: digests of what it is to be, and of what may be there instead where the verb failed. */
  written?: Record<string, readonly string[]>
  store: string
  /** The store whose objects are looked at after each run. */
  opened: Store
  /** What is wrong with it, where it is not to be as it was before. */
  storeWrong?: () => Promise<string[]>
  /** What is the same in every run's answer; default all of it. */
  answerOf?: (answer: string) => string
  /** What is wrong with other files that it wrote. */
  resultWrong?: (failed: boolean) => string[]
}

/** What became of one fault. */
export interface Outcome {
  verb: string
  fault: Fault
  path: string
  /** Paths at which the fault was tried; {@link path} is the last of them. */
  tried: string[]
  /** Empty where all is well. */
  wrongs: string[]
  /** False where the run ended as it does without the fault. */
  failed: boolean
  ran: Ran
}

/** The path without what is made of digests and counters: calls of the same kind of file are tried once or twice. */
function kindOf({ call, path }: Call): string {
  const kind = path
    .replace(/[0-9a-f]{64}/, 'KEY')
    .replace(/objects\/[0-9a-f]{2}(\/|$)/, 'objects/XX$1')
    .replace(/trees\/KEY\/.*/, 'trees/KEY/FILE')
    .replace(/\d{4,}-.*?-[0-9a-f]{8}/, 'SCRATCH')
    .replace(/screen-\d+/, 'screen-N')
  return `${call} ${kind}`
}

/** A fault, and the calls that it is tried at until one is met: at first those of one kind of file. */
export interface Planned {
  fault: Fault
  calls: Call[]
}

/** Each errno of each call that the verb makes, at one file after the other, so that every kind of file is hit. */
export function planFaults(calls: readonly Call[], random: (limit: number) => number): Planned[] {
  return Object.entries(ERRNOS).flatMap(([call, errnos]) => {
    const all = calls.filter((one) => one.call === call)
    const kinds = byKind(all)
    const count = kinds.length === 0 ? 0 : Math.max(kinds.length, errnos.length)
    return Array.from({ length: count }, (_, index): Planned => {
      const kind = kinds[index % kinds.length] as Call[]
      const errno = errnos[index % errnos.length] as string
      const others = all.filter((one) => !kind.includes(one))
      return { fault: { call, errno }, calls: [...turned(kind, random), ...turned(others, random)] }
    })
  })
}

/** The same in a ring, from any one of them on. */
function turned<T>(items: readonly T[], random: (limit: number) => number): T[] {
  const first = random(items.length)
  return [...items.slice(first), ...items.slice(0, first)]
}

function byKind(calls: readonly Call[]): Call[][] {
  const kinds = new Map<string, Call[]>()
  for (const one of calls) kinds.set(kindOf(one), [...(kinds.get(kindOf(one)) ?? []), one])
  return [...kinds.values()]
}

/** The calls that a verb makes each time, and how it ends when nothing fails. */
export async function baseline(verb: Verb): Promise<{ calls: Call[]; sound: Ran; never: string[] }> {
  await verb.ready()
  const { calls: first, ...sound } = await traced(verb, Object.keys(ERRNOS))
  await verb.ready()
  const again = await traced(verb, Object.keys(ERRNOS))
  const calls = first.filter(({ call, path }) =>
    again.calls.some((other) => other.call === call && other.path === path),
  )
  const never = Object.keys(ERRNOS).filter((name) => !calls.some(({ call }) => call === name))
  return { calls, sound, never }
}

/** Calls at which a fault is tried: one that is made now and then, or under another name, is not met each time. */
const TRIES = 5

/** A run that met the fault. One that did not says nothing, and the next call is tried; the last says that none was met. */
export async function tryFault(verb: Verb, { fault, calls }: Planned, sound: Ran): Promise<Outcome> {
  const [first, ...others] = calls.slice(0, TRIES)
  let outcome = await tryCall(verb, first as Call, fault, sound)
  const tried = [outcome.path]
  for (const call of others) {
    if (outcome.ran.hits.length > 0) break
    outcome = await tryCall(verb, call, fault, sound)
    tried.push(outcome.path)
  }
  return { ...outcome, tried }
}

/** One run with one fault, and everything that is wrong about it. */
async function tryCall(verb: Verb, call: Call, fault: Fault, sound: Ran): Promise<Omit<Outcome, 'tried'>> {
  await verb.ready()
  const before = await objectStamps(verb.opened)
  const ran = await failing(verb, call, fault)
  const failed = ran.code !== sound.code || saysError(ran)
  const wrongs = [
    ...wordsWrong(ran, verb.folder, failed),
    ...(failed ? [] : answerWrong(verb, ran, sound)),
    ...(await writtenWrong(verb, failed)),
    ...(verb.resultWrong?.(failed) ?? []),
    ...(await scratchWrong(verb, call)),
    ...(await (verb.storeWrong?.() ?? storeWrong(verb.opened, before))),
  ]
  return { verb: verb.name, fault, path: call.path, wrongs, failed, ran }
}

function saysError({ stdout, stderr }: Ran): boolean {
  return /^keyvisor: /m.test(stderr) || stdout.includes('{"kind":"error"')
}

function answerWrong({ answerOf: same = (answer) => answer }: Verb, ran: Ran, sound: Ran): string[] {
  const [answer, expected] = [ran, sound].map((one) => same(answerOf(one)))
  return answer === expected ? [] : [`another answer: ${answer}, and not: ${expected}`]
}

/** Without progress, times, ports and process ids. */
function answerOf({ stdout }: Ran): string {
  const result = stdout.split('\n').findLast((line) => line.startsWith('{"kind":"result"'))
  return (result ?? stdout).replace(/[0-9]+/g, '#')
}

const INSIDES = [
  /^ {4}at /m,
  /this is a bug/,
  /BUG/,
  /umask 022/,
  /Error: /,
  /\bE[A-Z]{3,}: /,
  /node:internal/,
]

function wordsWrong({ code, stdout, stderr }: Ran, folder: string, failed: boolean): string[] {
  const text = stdout + stderr
  const insides = INSIDES.filter((inside) => inside.test(text)).map((inside) => `it shows ${inside.source}`)
  if (!failed) return insides
  return [
    ...insides,
    ...(code === 1 || code === 2 ? [] : [`exit code ${code}`]),
    ...(text.includes(folder) ? [] : ['no path']),
    ...(/hint: |"hint":/.test(text) ? [] : ['no way on']),
  ]
}

async function writtenWrong({ written = {} }: Verb, failed: boolean): Promise<string[]> {
  const wrongs: string[] = []
  for (const [path, digests] of Object.entries(written)) {
    const allowed = failed ? digests : digests.slice(0, 1)
    if (!existsSync(path)) wrongs.push(...(failed ? [] : [`${path} is not there`]))
    else if (!allowed.includes((await sha256File(path)).sha256)) wrongs.push(`${path} is not whole`)
  }
  return wrongs
}

/** By path: changes with the bytes. */
async function objectStamps(store: Store): Promise<Map<string, string>> {
  const stamps = new Map<string, string>()
  for (const path of await objectPaths(store)) {
    const { ino, size, ctimeMs } = statSync(path)
    stamps.set(path, `${ino} ${size} ${ctimeMs}`)
  }
  return stamps
}

/** What came since is whole, and every record names what is there. All bytes are read when a verb is done. */
async function storeWrong(store: Store, before: Map<string, string>): Promise<string[]> {
  const wrongs: string[] = []
  for (const path of await objectPaths(store)) {
    const { ino, size, ctimeMs } = statSync(path)
    if (before.get(path) === `${ino} ${size} ${ctimeMs}`) continue
    if ((await sha256File(path)).sha256 !== basename(path)) wrongs.push(`store: ${path} is not whole`)
  }
  for (const key of await recordKeys(store)) {
    const record = await store.readRecord(key)
    if (!record)
      wrongs.push(`store: the record ${key} is not whole: ${await readFile(store.recordPath(key), 'utf8')}`)
    for (const { sha256, size } of Object.values(record?.objects ?? {}))
      if (!(await store.has(sha256, size)))
        wrongs.push(`store: the record ${key} names ${sha256}, which is not there`)
  }
  return wrongs
}

/** Nothing is left in the way, but for what could not be removed: a later run removes that. */
async function scratchWrong({ opened, folder }: Verb, call: Call): Promise<string[]> {
  const hidden = hiddenIn(join(folder, 'out'))
  const wrongs = call.call === 'unlink' ? [] : hidden.map((path) => `${path} was left`)
  for (const name of readdirSync(join(opened.folder, 'tmp'))) {
    const path = join(opened.folder, 'tmp', name)
    if (!isOfRemoval(call, path)) wrongs.push(`${path} was left`)
    else if (!(await isStaleLater(opened, path))) wrongs.push(`${path} was left for good`)
    rmSync(path, { recursive: true, force: true })
  }
  for (const path of hidden) rmSync(path)
  return wrongs
}

function hiddenIn(folder: string): string[] {
  const names = existsSync(folder) ? readdirSync(folder) : []
  return names.filter((name) => name.startsWith('.')).map((name) => join(folder, name))
}

/** Whether a thing that was left could not be removed, since this call failed: a folder's removal opens it. */
function isOfRemoval({ call, path }: Call, left: string): boolean {
  if (!unnumbered(`${path}/`).startsWith(`${unnumbered(left)}/`)) return false
  const met = left + path.slice(left.length)
  return (
    call === 'unlink' ||
    (call === 'openat' && statSync(met, { throwIfNoEntry: false })?.isDirectory() === true)
  )
}

/** Of scratch, without its number: another one of its name may be met. */
function unnumbered(path: string): string {
  return path.replace(/(\/tmp\/\d+-\d+-[^/]*-)[0-9a-f]{8}(?![0-9a-f])/, '$1')
}

/** More than any process id (`PID_MAX_LIMIT` of proc(5)). */
const NO_PROCESS = 2 ** 22 + 1

/** Whether builds remove it when the process that it names is gone: here that is one of the tests, which lives. */
async function isStaleLater(store: Store, path: string): Promise<boolean> {
  const later = path.replace(`-${process.pid}-`, `-${NO_PROCESS}-`)
  renameSync(path, later)
  const stale = await store.staleScratch()
  rmSync(later, { recursive: true, force: true })
  return stale.includes(later)
}
