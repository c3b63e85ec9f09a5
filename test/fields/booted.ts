/** Questions to a stick that runs, to its first guest, and to its image. */
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { systemTools } from '../../src/base/tool.js'
import { SECTOR } from '../../src/base/units.js'
import type { GuestEvent } from '../../src/guest/report.js'
import type { Trial } from '../../src/lab/trial.js'
import { inspectImage } from '../../src/media/inspect.js'
import { freePort } from '../../src/pc/ports.js'
import { onStick } from '../support/demo.js'
import type { Row, Where } from './row.js'

type Question = Pick<Row, 'where' | 'ask'>

/** Answers, by where and what was asked. */
export type Answers = Map<string, string>

export const keyOf = ({ where, ask }: Question) => `${where} ${ask}`

/** What the scripts of rows call; it is sh(1) for the stick. */
const WORDS = readFileSync('fixtures/fields/words.sh', 'utf8')

const LINE = '=====fields====='

/** One script for many questions: to log in takes seconds. What each prints, errors too, stands behind a line. */
function scriptOf(asks: readonly string[]): string {
  return asks.map((ask) => `echo ${LINE}\n(\n${ask}\n) 2>&1 </dev/null`).join('\n')
}

function parted(output: string): string[] {
  return output
    .split(`${LINE}\n`)
    .slice(1)
    .map((answer) => answer.trim())
}

/** Seconds that all questions to a stick may take: to join Wi-Fi networks alone is some minutes. */
const SCRIPT_TIMEOUT = 1800

async function runOn({ ssh }: Trial, script: string): Promise<string> {
  const [tool = 'false', ...args] = ssh ?? []
  const packed = Buffer.from(script).toString('base64')
  const command = `echo ${packed} | base64 -d > /tmp/asked && bash /tmp/asked`
  return (await systemTools.run({ tool, args: [...args, command], timeout: SCRIPT_TIMEOUT })).stdout
}

const guestNames = ({ manifest }: Trial) => manifest.guests.map(({ name }) => name)

async function askStick(trial: Trial, asks: readonly string[]): Promise<string[]> {
  const [system, counter] = guestNames(trial)
  const keys = ['listed', 'filed'].map(
    (name) => `umask 077; cat > /tmp/${name} <<'END'\n${readFileSync(`fixtures/fields/${name}`, 'utf8')}END`,
  )
  const names = `system=${system} counter=${counter}`
  return parted(await runOn(trial, [names, WORDS, ...keys, scriptOf(asks)].join('\n')))
}

const AGENT = 'virsh -q -c qemu:///system qemu-agent-command system'

/** Seconds for a guest whose `ready` says nothing of its agent. */
const GUEST_PATIENCE = 1200

async function agent(trial: Trial, execute: string, given: object = {}): Promise<Record<string, unknown>> {
  const request = JSON.stringify({ execute, arguments: given })
  const answer = await onStick(trial, `${AGENT} '${request}' --timeout 60 || true`)
  return answer === '' ? {} : (JSON.parse(answer) as { return: Record<string, unknown> }).return
}

/** What a script prints in the guest that is called `system`, by its agent, which knows no standard input. */
async function askGuest(trial: Trial, asks: readonly string[]): Promise<string[]> {
  const deadline = Date.now() + GUEST_PATIENCE * 1000
  const packed = Buffer.from(scriptOf(asks)).toString('base64')
  const run = { path: '/bin/sh', arg: ['-c', `echo ${packed} | base64 -d | sh`], 'capture-output': true }
  let pid: unknown
  while (pid === undefined && Date.now() < deadline) {
    pid = (await agent(trial, 'guest-exec', run))['pid']
    if (pid === undefined) await sleep(5000)
  }
  while (pid !== undefined && Date.now() < deadline) {
    const state = await agent(trial, 'guest-exec-status', { pid })
    if (state['exited']) return parted(Buffer.from(`${state['out-data'] ?? ''}`, 'base64').toString())
    await sleep(2000)
  }
  throw new Error('the guest does not answer')
}

/** `system state`: a member of what the report says of a guest. */
function askReport(trial: Trial, ask: string): string {
  const [role, member] = ask.split(' ')
  const name = guestNames(trial)[role === 'system' ? 0 : 1]
  const event = trial.events.find(
    (event): event is GuestEvent => event.event === 'guest' && event.name === name,
  )
  const answer = `${event?.[member as keyof GuestEvent]}`
  return answer === 'failed' ? `${answer}: ${event?.reason}` : answer
}

/** What a port of the stick says; nothing where it takes no connection. */
async function askNetwork(trial: Trial, port: string): Promise<string> {
  const here = await freePort()
  const refused = await trial.monitor(`hostfwd_add uplink tcp:127.0.0.1:${here}-:${port}`)
  if (refused.trim() !== '') throw new Error(refused)
  const socket = connect(here, '127.0.0.1')
  socket.setTimeout(60_000, () => socket.destroy())
  let text = ''
  try {
    for await (const chunk of socket) text += chunk
  } catch {
    // QEMU itself takes every connection, and ends it when the stick refuses.
  }
  return text.trim()
}

/** What shell says here, of an image that nobody has to start. */
export async function askImage(image: string, ask: string): Promise<string> {
  const { partitions } = await inspectImage(image)
  const esp = (partitions.find(({ name }) => name === 'esp')?.first ?? 0) * SECTOR
  const env = { ...process.env, image, esp: `${esp}` }
  return execFileSync('sh', ['-c', ask], { env, encoding: 'utf8' }).trim()
}

const TOGETHER: Partial<Record<Where, (trial: Trial, asks: readonly string[]) => Promise<string[]>>> = {
  guest: askGuest,
  stick: askStick,
  report: async (trial, asks) => asks.map((ask) => askReport(trial, ask)),
  network: (trial, asks) => Promise.all(asks.map((ask) => askNetwork(trial, ask))),
}

/** Asks everything, each question once. Guests first: the stick starts one anew. */
export async function askAll(trial: Trial, questions: readonly Question[]): Promise<Answers> {
  const answers: Answers = new Map()
  for (const [where, ask] of Object.entries(TOGETHER)) {
    const asks = [...new Set(questions.filter((row) => row.where === where).map((row) => row.ask))]
    if (asks.length === 0) continue
    const found = await ask(trial, asks).catch((error: Error) => asks.map(() => `(${error.message})`))
    asks.forEach((text, index) => {
      answers.set(keyOf({ where: where as Where, ask: text }), found[index] ?? '(no answer)')
    })
  }
  return answers
}
