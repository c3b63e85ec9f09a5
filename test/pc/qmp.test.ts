import { createServer } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import t from 'tap'
import { openQmp } from '../../src/pc/qmp.js'
import { socketFolder } from '../support/lab.js'

interface Asked {
  execute: string
  arguments: Record<string, unknown>
}

/** A QEMU as the protocol's specification describes it; `answer` gives the lines that follow a command. */
async function fakeQemu(t: Tap, answer: (asked: Asked) => object[] | undefined): Promise<string> {
  const path = join(socketFolder(t), 'qmp')
  const server = createServer((socket) => {
    socket.write('{"QMP": {"version": {}, "capabilities": []}}\r\n')
    createInterface({ input: socket }).on('line', (line) => {
      const lines = answer(JSON.parse(line))
      if (!lines) return socket.destroy()
      return socket.write(lines.map((object) => `${JSON.stringify(object)}\r\n`).join(''))
    })
  })
  await new Promise<void>((resolve) => server.listen(path, resolve))
  t.teardown(() => server.close())
  return path
}

interface Tap {
  teardown(action: () => unknown): unknown
}

t.test('commands go one after the other, and events between answers are passed over', async (t) => {
  const asked: string[] = []
  const path = await fakeQemu(t, ({ execute, arguments: args }) => {
    asked.push(`${execute} ${JSON.stringify(args)}`)
    return [{ event: 'RESUME' }, { return: { said: execute } }]
  })
  const qmp = await openQmp(path, new AbortController().signal)
  t.teardown(() => qmp.close())
  const answers = await Promise.all([qmp.execute('one', { a: 1 }), qmp.execute('two')])
  t.strictSame(answers, [{ said: 'one' }, { said: 'two' }])
  t.strictSame(asked, ['qmp_capabilities {}', 'one {"a":1}', 'two {}'])
})

t.test("a refusal has QEMU's words, and the next command works", async (t) => {
  const path = await fakeQemu(t, ({ execute }) =>
    execute === 'bad' ? [{ error: { class: 'GenericError', desc: 'no such thing' } }] : [{ return: {} }],
  )
  const qmp = await openQmp(path, new AbortController().signal)
  t.teardown(() => qmp.close())
  await t.rejects(qmp.execute('bad'), { message: /bad: no such thing/ })
  t.strictSame(await qmp.execute('good'), {})
})

t.test('a QEMU that ends leaves nobody waiting', async (t) => {
  const path = await fakeQemu(t, ({ execute }) => (execute === 'quit' ? undefined : [{ return: {} }]))
  const qmp = await openQmp(path, new AbortController().signal)
  await t.rejects(qmp.execute('quit'), { message: /ended before it answered quit/ })
})

t.test('a QEMU that hangs leaves nobody waiting, and is asked nothing more', async (t) => {
  const path = await fakeQemu(t, ({ execute }) => (execute === 'hang' ? [] : [{ return: {} }]))
  const qmp = await openQmp(path, new AbortController().signal, 0.2)
  await t.rejects(qmp.execute('hang'), { message: 'QEMU does not answer hang' })
  await t.rejects(qmp.execute('good'), 'a late answer would be taken for this one')
})

t.test('waiting for a socket that never comes ends by its signal', async (t) => {
  const path = join(socketFolder(t), 'none')
  await t.rejects(openQmp(path, AbortSignal.timeout(120)))
})
