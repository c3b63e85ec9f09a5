/**
 * QMP: what the lab tells a running QEMU (QEMU, docs/interop/qmp-spec.rst). One command at a time.
 *
 * Left out: events. That QEMU ended is seen from its process.
 */
import { connect, type Socket } from 'node:net'
import { createInterface } from 'node:readline'
import type { Json } from '../base/digests.js'

export interface Qmp {
  /** Rejects with an Error that has QEMU's words, also when QEMU ends before it answers, or does not answer. */
  execute(command: string, args?: Record<string, Json>): Promise<Json>
  close(): void
}

/** Milliseconds between two tries to reach a QEMU that is just starting. */
const TRY_EVERY = 50

/** Seconds for an answer, which takes less than one: a QEMU that hangs must not hold whoever asks. */
const PATIENCE = 60

/**
 * Connects to QEMU's socket, which appears a moment after QEMU starts. Ends by `signal`.
 *
 * @param patience seconds for each answer; without one in time, no more is asked
 */
export async function openQmp(path: string, signal: AbortSignal, patience = PATIENCE): Promise<Qmp> {
  const socket = await reach(path, signal)
  signal.addEventListener('abort', () => socket.destroy(), { once: true })
  const lines = createInterface({ input: socket })
  // A socket that is destroyed here has no end of its stream, for which lines would be waited.
  socket.once('close', () => lines.close())
  const messages = lines[Symbol.asyncIterator]()
  await messages.next() // the greeting
  let silent = false
  let last: Promise<unknown> = Promise.resolve()
  const ask = async (command: string, args: Record<string, Json>) => {
    // A late answer would be taken for that to the next command: so the connection ends.
    const late = setTimeout(() => {
      silent = true
      socket.destroy()
    }, patience * 1000)
    try {
      socket.write(`${JSON.stringify({ execute: command, arguments: args })}\n`)
      for (;;) {
        const { value, done } = await messages.next()
        if (done)
          throw new Error(
            silent ? `QEMU does not answer ${command}` : `QEMU ended before it answered ${command}`,
          )
        const message = JSON.parse(value) as { return?: Json; error?: { desc: string } }
        if (message.error) throw new Error(`QEMU refuses ${command}: ${message.error.desc}`)
        if ('return' in message) return message.return as Json
      }
    } finally {
      clearTimeout(late)
    }
  }
  const qmp: Qmp = {
    execute(command, args = {}) {
      const answer = last.then(() => ask(command, args))
      last = answer.catch(() => {})
      return answer
    },
    close: () => socket.destroy(),
  }
  await qmp.execute('qmp_capabilities')
  return qmp
}

/** Connects to a socket of a QEMU that is just starting. Ends by `signal`. */
export async function reach(path: string, signal: AbortSignal): Promise<Socket> {
  for (;;) {
    signal.throwIfAborted()
    const socket = await attempt(path)
    if (socket) return socket
    await new Promise((resolve) => setTimeout(resolve, TRY_EVERY))
  }
}

function attempt(path: string): Promise<Socket | undefined> {
  return new Promise((resolve) => {
    const socket = connect(path)
    socket.once('connect', () => {
      // QEMU closes it when it ends: whoever waits for an answer sees the end of the stream.
      socket.on('error', () => {})
      resolve(socket)
    })
    socket.once('error', () => resolve(undefined))
  })
}
