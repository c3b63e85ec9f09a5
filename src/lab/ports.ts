/**
 * Free TCP ports of the loopback address.
 */
import { createServer } from 'node:net'
import { KeyvisorError } from '../base/errors.js'

/** The first of the wished ports that is free, else any. Nothing holds it until somebody listens there. */
export async function freePort(wished: readonly number[] = []): Promise<number> {
  for (const port of wished) if (await canListen(port)) return port
  const port = await canListen(0)
  if (port) return port
  throw new KeyvisorError('no-port', 'no TCP port of the loopback address is free')
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
