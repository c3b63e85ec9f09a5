/**
 * QMP: what the lab tells a running QEMU (QEMU, docs/interop/qmp-spec.rst). One command at a time.
 *
 * Left out: events. That QEMU ended is seen from its process.
 */
import { connect, type Socket } from 'node:net'
import { createInterface } from 'node:readline'
import type { Json } from '../base/digests.js'

export interface Qmp {
  /** Rejects with an Error that has QEMU's words, also when QEMU ends before it answers. */
  execute(command: string, args?: Record<string, Json>): Promise<Json>
  close(): void
}

/** Milliseconds between two tries to reach a QEMU that is just starting. */
const TRY_EVERY = 50

/** Connects to QEMU's socket, which appears a moment after QEMU starts. Ends by `signal`. */
export async function openQmp(path: string, signal: AbortSignal): Promise<Qmp> {
  const socket = await reach(path, signal)
  const messages = createInterface({ input: socket })[Symbol.asyncIterator]()
  await messages.next() // the greeting
  let last: Promise<unknown> = Promise.resolve()
  const ask = async (command: string, args: Record<string, Json>) => {
    socket.write(`${JSON.stringify({ execute: command, arguments: args })}\n`)
    for (;;) {
      const { value, done } = await messages.next()
      if (done) throw new Error(`QEMU ended before it answered ${command}`)
      const message = JSON.parse(value) as { return?: Json; error?: { desc: string } }
      if (message.error) throw new Error(`QEMU refuses ${command}: ${message.error.desc}`)
      if ('return' in message) return message.return as Json
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
