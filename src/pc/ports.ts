/**
 * Free TCP ports of the loopback address.
 */
import { createServer } from 'node:net'
import { KeyvisorError } from '../base/errors.js'

/** Given out by this process and not given back: nothing listens there yet, or does no more. */
const held = new Set<number>()

/**
 * The first of the wished ports that is free, else any; held for whoever asked until {@link giveBack}, so that trials which
 * begin at the same time do not get the same.
 */
export async function freePort(wished: readonly number[] = []): Promise<number> {
  for (const port of [...wished, ...ANY]) {
    const free = held.has(port) ? undefined : await canListen(port)
    if (free === undefined || held.has(free)) continue
    held.add(free)
    return free
  }
  throw new KeyvisorError('no-port', 'no TCP port of the loopback address is free')
}

/** Any port, and again where that one is held. */
const ANY = [0, 0, 0]

export function giveBack(ports: readonly number[]): void {
  for (const port of ports) held.delete(port)
}

/** The port, when one can listen there; 0 asks for any. */
function canListen(port: number): Promise<number | undefined> {
  return new Promise((resolve) => {
    const server = createServer()
    server.on('error', () => resolve(undefined))
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' ? address?.port : undefined))
    })
  })
}
