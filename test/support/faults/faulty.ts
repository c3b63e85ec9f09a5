/**
 * What a fault must not do: an error is in words, names a path and a way on, and leaves nothing half-written.
 *
 * Left out: which calls fail (`errnos.ts`), and how they are made to (`tracing.ts`).
 */
import { existsSync, readdirSync, rmSync, statSync } from 'node:fs'
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
}

/** What became of one fault. */
export interface Outcome {
  verb: string
  fault: Fault
  path: string
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
  return `${call} ${kind}`
}

/** Each errno of each call that the verb makes, at one file after the other, so that every kind of file is hit. */
export function planFaults(calls: readonly Call[], random: (limit: number) => number): [Call, Fault][] {
  return Object.entries(ERRNOS).flatMap(([call, errnos]) => {
    const kinds = byKind(calls.filter((one) => one.call === call))
    const count = kinds.length === 0 ? 0 : Math.max(kinds.length, errnos.length)
    return Array.from({ length: count }, (_, index): [Call, Fault] => {
      const kind = kinds[index % kinds.length] as Call[]
      const errno = errnos[index % errnos.length] as string
      return [kind[random(kind.length)] as Call, { call, errno }]
    })
  })
}

function byKind(calls: readonly Call[]): Call[][] {
  const kinds = new Map<string, Call[]>()
  for (const one of calls) kinds.set(kindOf(one), [...(kinds.get(kindOf(one)) ?? []), one])
  return [...kinds.values()]
}

/** The calls of a verb, and how it ends when nothing fails. */
export async function baseline(verb: Verb): Promise<{ calls: Call[]; sound: Ran; never: string[] }> {
  await verb.ready()
  const { calls, ...sound } = await traced(verb, Object.keys(ERRNOS))
  const never = Object.keys(ERRNOS).filter((name) => !calls.some(({ call }) => call === name))
  return { calls, sound, never }
}

/** One run with one fault, and everything that is wrong about it. */
export async function tryFault(verb: Verb, call: Call, fault: Fault, sound: Ran): Promise<Outcome> {
  await verb.ready()
  const before = await objectStamps(verb.opened)
  const ran = await failing(verb, call, fault)
  const failed = ran.code !== sound.code || saysError(ran)
  const wrongs = [
    ...wordsWrong(ran, verb.folder, failed),
    ...(failed || answerOf(ran) === answerOf(sound) ? [] : ['another answer']),
    ...(await writtenWrong(verb, failed)),
    ...scratchWrong(verb, fault),
    ...(await (verb.storeWrong?.() ?? storeWrong(verb.opened, before))),
  ]
  return { verb: verb.name, fault, path: call.path, wrongs, failed, ran }
}

function saysError({ stdout, stderr }: Ran): boolean {
  return /^keyvisor: /m.test(stderr) || stdout.includes('{"kind":"error"')
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

/** Nothing is left in the way, but for what could not be removed; the next build removes that. */
function scratchWrong({ opened, folder }: Verb, { call }: Fault): string[] {
  const scratch = join(opened.folder, 'tmp')
  const left = readdirSync(scratch).map((name) => join(scratch, name))
  const out = join(folder, 'out')
  if (existsSync(out)) {
    const hidden = readdirSync(out).filter((name) => name.startsWith('.'))
    left.push(...hidden.map((name) => join(out, name)))
  }
  for (const path of left) rmSync(path, { recursive: true, force: true })
  return call === 'unlink' ? [] : left.map((path) => `${path} was left`)
}
