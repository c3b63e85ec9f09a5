/**
 * A PC whose stick is logged, as the lab's own QEMU has it. Nothing boots: QEMU's monitor writes to the stick.
 */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { GiB, MiB } from '../../src/base/units.js'
import { startSession } from '../../src/pc/session.js'
import { USUAL_BOARD, type VirtualPc } from '../../src/pc/virtual-pc.js'
import { labTools, socketFolder } from '../support/lab.js'
import { type LogEntry, readWriteLog } from './writelog.js'

const tools = await labTools(t)

if (tools) {
  await t.test('what is written to the stick is in the log, flushes too, and on the stick', async (t) => {
    const folder = socketFolder(t)
    const [stick, writeLog] = [join(folder, 'stick.qcow2'), join(folder, 'writes.log')]
    const binds = [{ path: folder, write: true }]
    const image = (...args: string[]) => tools.run({ tool: 'qemu-img', args, binds })
    await image('create', '-q', '-f', 'qcow2', stick, '64M')
    await writeFile(writeLog, '')
    const pc: VirtualPc = {
      firmware: 'bios',
      memory: GiB / 4,
      cpus: 1,
      accelerator: 'tcg',
      virtualization: true,
      board: USUAL_BOARD,
      disks: [],
      network: '10.0.2.0/24',
      clock: null,
      stick,
      keep: true,
      variables: '',
      qmp: 'qmp',
      forwards: [],
      serialLog: join(folder, 'serial.log'),
      reportLog: join(folder, 'report.jsonl'),
      vnc: null,
      writeLog,
      collector: '10.0.2.100:7777',
      credentials: {},
    }
    const session = await startSession(pc, folder, [], { onEvent() {}, onSerial() {} }, tools)
    const said = [
      await session.monitor('qemu-io stick "write -P 0x5a 1M 4k"'),
      await session.monitor('qemu-io stick flush'),
      await session.monitor('qemu-io stick "discard 2M 1M"'),
      await session.monitor('qemu-io stick flush'),
    ]
    await session.kill()
    t.notMatch(said.join(''), /rror|failed/)
    const log = await readFile(writeLog)
    const entries: LogEntry[] = []
    const read = async (offset: number, length: number) => log.subarray(offset, offset + length)
    for await (const entry of readWriteLog(read, log.length)) entries.push(entry)
    const changes = entries.filter(({ bytes }) => bytes > 0)
    t.match(changes, [
      { at: MiB, bytes: 4096, discard: false },
      { at: 2 * MiB, bytes: MiB, discard: true },
    ])
    t.ok(entries[(changes[0]?.index ?? 0) + 1]?.flush, 'the flush behind the write')
    const raw = join(folder, 'stick.raw')
    await image('convert', '-f', 'qcow2', '-O', 'raw', stick, raw)
    t.ok((await readFile(raw)).subarray(MiB, MiB + 4096).equals(Buffer.alloc(4096, 0x5a)))
  })
}
