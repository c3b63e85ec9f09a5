/**
 * The session against a QEMU that is played: what is heard, and how it ends. Real ones run in test/boot.
 */
import { appendFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { Interrupted } from '../../src/base/errors.js'
import { systemTools, type ToolCall, type ToolResult, type ToolRunner } from '../../src/base/tool.js'
import type { ReportEvent } from '../../src/guest/report.js'
import { startSession } from '../../src/pc/session.js'
import { USUAL_BOARD, type VirtualPc } from '../../src/pc/virtual-pc.js'
import { socketFolder } from '../support/lab.js'

function pcIn(folder: string): VirtualPc {
  return {
    firmware: 'bios',
    memory: 2 ** 30,
    cpus: 1,
    accelerator: 'tcg',
    keep: false,
    vnc: null,
    virtualization: true,
    board: USUAL_BOARD,
    disks: [],
    network: '10.0.2.0/24',
    clock: null,
    writeLog: null,
    collector: null,
    stick: join(folder, 'stick'),
    variables: join(folder, 'variables'),
    qmp: 'qmp',
    forwards: [],
    serialLog: join(folder, 'serial.log'),
    reportLog: join(folder, 'report.jsonl'),
    credentials: {},
  }
}

/** A QEMU that answers every command, switches off by `system_powerdown` where `obeys`, and ends when it is killed. */
function played(folder: string, obeys: boolean, answers = true): ToolRunner {
  const run = (call: ToolCall) =>
    new Promise<ToolResult>((resolve, reject) => {
      const server: Server = createServer((socket) => {
        socket.write('{"QMP": {}}\n')
        socket.on('error', () => {})
        socket.on('data', (chunk) => {
          if (answers) socket.write('{"return": {}}\n')
          if (obeys && String(chunk).includes('system_powerdown'))
            end(() => resolve({ stdout: '', stderr: '' }))
        })
        const end = (settle: () => void) => {
          socket.destroy()
          server.close()
          settle()
        }
        call.signal?.addEventListener('abort', () => end(() => reject(new Interrupted())))
      }).listen(join(folder, 'qmp'))
    })
  return { argv: () => [], run }
}

/** A QEMU that hangs before it has a socket. */
const deaf: ToolRunner = {
  argv: () => [],
  run: ({ signal }) =>
    new Promise((_, reject) => signal?.addEventListener('abort', () => reject(new Interrupted()))),
}

const host = '{"event":"host","name":"x"}'
const done = '{"event":"done","seconds":1}'

t.test('events are told once, whichever way they come, the last ones before the end', async (t) => {
  const folder = socketFolder(t)
  const pc = pcIn(folder)
  const events: ReportEvent[] = []
  const lines: string[] = []
  const watch = {
    onEvent: (event: ReportEvent) => events.push(event),
    onSerial: (line: string) => lines.push(line),
  }
  const session = await startSession(pc, folder, [], watch, played(folder, true))
  await appendFile(pc.serialLog, `booting\r\nKEYVISOR ${host}\n`)
  await appendFile(pc.reportLog, `${host}\n${done}\n`)
  t.equal(await session.shutDown(60), 'off')
  t.strictSame([...new Set(events.map(({ event }) => event))].sort(), ['done', 'host'])
  t.equal(events.length, 2, 'none twice')
  t.strictSame(lines, ['booting\r', `KEYVISOR ${host}`])
})

t.test('what guests send comes out of the collector, line by line', async (t) => {
  const folder = socketFolder(t)
  const lines: string[] = []
  const collector = createServer((socket) => {
    for (const part of ['1\n2', '\n3\n']) socket.write(part)
    socket.end()
  }).listen(join(folder, 'collector'))
  t.teardown(() => collector.close())
  const arrived = new Promise<void>((resolve) => {
    const onCollected = (line: string) => {
      if (lines.push(line) === 3) resolve()
    }
    const watch = { onEvent() {}, onSerial() {}, onCollected }
    const pc = { ...pcIn(folder), collector: '10.0.2.100:7777' }
    const session = startSession(pc, folder, [], watch, played(folder, true))
    t.teardown(async () => (await session).kill())
  })
  await arrived
  t.strictSame(lines, ['1', '2', '3'])
})

t.test('one that does not switch itself off is killed at the deadline', async (t) => {
  const folder = socketFolder(t)
  const watch = { onEvent() {}, onSerial() {} }
  const session = await startSession(pcIn(folder), folder, [], watch, played(folder, false))
  t.equal(await session.shutDown(0.2), 'killed')
  t.equal(await session.ended, 'killed')
  await session.kill()
})

t.test('a QEMU that aborts is told from one that refuses its arguments', async (t) => {
  const folder = socketFolder(t)
  const watch = { onEvent() {}, onSerial() {} }
  const failing = (script: string): ToolRunner => ({
    argv: () => [],
    run: () => systemTools.run({ tool: 'sh', args: ['-c', script] }),
  })
  const start = (script: string) => startSession(pcIn(folder), folder, [], watch, failing(script))
  await t.rejects(start('echo assertion failed >&2; kill -ABRT $$'), { code: 'qemu-broke' })
  await t.rejects(start('echo bad -smp >&2; exit 1'), { code: 'tool-failed' })
  await t.rejects(start('kill -KILL $$'), { code: 'tool-killed' })
  await t.rejects(start('exit 0'), { code: 'qemu-silent' }, 'switched off at once')
})

t.test('one that starts and does not answer is ended, and said to be silent', async (t) => {
  const folder = socketFolder(t)
  const watch = { onEvent() {}, onSerial() {} }
  const silent = played(folder, false, false)
  await t.rejects(startSession(pcIn(folder), folder, [], watch, silent, 0.3), { code: 'qemu-silent' })
  await t.rejects(startSession(pcIn(folder), folder, [], watch, deaf, 0.3), { code: 'qemu-silent' })
})

t.test('a folder that cannot be opened is what went wrong, and not how QEMU then ended', async (t) => {
  const gone = join(socketFolder(t), 'gone')
  const watch = { onEvent() {}, onSerial() {} }
  await t.rejects(startSession(pcIn(gone), gone, [], watch, deaf), { code: 'ENOENT', path: gone })
})
