import { createServer } from 'node:net'
import t from 'tap'
import { freePort, giveBack } from '../../src/pc/ports.js'

t.test('a taken port is passed over for the next that was wished for', async (t) => {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => server.close())
  const taken = (server.address() as { port: number }).port
  const other = await freePort()
  t.not(other, taken)
  t.not(await freePort([other]), other, 'it is held')
  giveBack([other])
  t.equal(await freePort([taken, other]), other)
  const any = await freePort([taken])
  t.not(any, taken)
  t.ok(any > 0)
})

t.test('who asks at the same time gets another', async (t) => {
  const wished = await freePort()
  giveBack([wished])
  const ports = await Promise.all([freePort([wished]), freePort([wished]), freePort([wished])])
  t.equal(new Set(ports).size, 3)
  t.ok(ports.includes(wished))
})
