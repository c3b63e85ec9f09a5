/**
 * QEMU itself takes what `machine.ts` writes for each PC that ships: it makes the PC, and is told to quit before the first
 * instruction. That sticks start on them is for a walk.
 */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { MiB } from '../../src/base/units.js'
import { loadMachines, MACHINES_FILE, type Machine } from '../../src/pc/catalogue.js'
import { FIRMWARE_FILES, qemuArguments, type VirtualPc } from '../../src/pc/virtual-pc.js'
import { labTools, socketFolder } from '../support/lab.js'

const tools = await labTools(t)

if (tools) {
  const folder = socketFolder(t)
  const binds = [{ path: folder, write: true }]
  const run = (tool: string, args: string[], input = '') =>
    tools.run({ tool, args, binds, cwd: folder, timeout: 60, ...(input ? { input } : {}) })
  await run('qemu-img', ['create', '-q', '-f', 'qcow2', 'stick.qcow2', '64M'])
  await writeFile(join(folder, 'other.raw'), Buffer.alloc(MiB))

  const pcOf = ({ firmware, memory, cpus, processor, board, otherSystem }: Machine): VirtualPc => ({
    firmware,
    memory,
    cpus,
    board,
    virtualization: processor === 'virtualization',
    accelerator: 'tcg',
    network: '10.0.2.0/24',
    clock: null,
    forwards: [],
    vnc: null,
    credentials: {},
    stick: 'stick.qcow2',
    keep: true,
    variables: 'variables.fd',
    qmp: 'qmp',
    serialLog: 'serial.log',
    reportLog: 'report.jsonl',
    writeLog: null,
    collector: null,
    disks: otherSystem ? [{ path: 'other.raw', format: 'raw', bus: 'sata', before: true }] : [],
  })

  for (const machine of await loadMachines(MACHINES_FILE)) {
    await t.test(machine.name, async (t) => {
      if (machine.firmware !== 'bios')
        await run('cp', ['--no-preserve=mode', FIRMWARE_FILES[machine.firmware].variables, 'variables.fd'])
      const quit = '{"execute":"qmp_capabilities"}{"execute":"query-block"}{"execute":"quit"}'
      const args = [...qemuArguments(pcOf(machine)), '-S', '-qmp', 'stdio']
      const { stdout } = await run('qemu-system-x86_64', args, quit)
      t.match(stdout, /"device": "stick"/, 'the stick is plugged in')
      t.match(stdout, /"reason": "host-qmp-quit"/, 'it quits when it is told to')
    })
  }
}
