/** Images that a hypervisor has open, by the real QEMU. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { systemTools } from '../../src/base/tool.js'
import { refuseInUse } from '../../src/sources/image/in-use.js'
import { needTools } from '../support/tools.js'

/** A qemu-io that has an image open until it is ended. */
async function opened(path: string, ...options: string[]): Promise<ChildProcess> {
  const child = spawn('qemu-io', ['-f', 'qcow2', ...options, path], { stdio: ['pipe', 'pipe', 'inherit'] })
  child.stdin.write('length\n')
  await once(child.stdout, 'data')
  return child
}

async function ended(child: ChildProcess): Promise<void> {
  child.stdin?.end('quit\n')
  await once(child, 'exit')
}

t.test('an image that a QEMU writes to, and one that it reads', async (t) => {
  if (!needTools(t, 'qemu-img', 'qemu-io')) return
  const path = join(t.testdir(), 'disk.qcow2')
  await systemTools.run({ tool: 'qemu-img', args: ['create', '-q', '-f', 'qcow2', path, '4M'] })
  await t.resolves(refuseInUse(path))
  const writer = await opened(path)
  await t.rejects(refuseInUse(path), {
    code: 'image-in-use',
    message: /has it open for writing/,
    hint: /shut/,
  })
  await t.resolves(refuseInUse(join(path, '..')), 'of that file alone')
  await ended(writer)
  await t.resolves(refuseInUse(path))
  const reader = await opened(path, '-r')
  await t.resolves(refuseInUse(path), 'who only reads changes nothing')
  await ended(reader)
})

t.test('a disk that VMware has open', async (t) => {
  const folder = t.testdir({ 'box.vmdk': '' })
  const path = join(folder, 'box.vmdk')
  await t.resolves(refuseInUse(path))
  mkdirSync(`${path}.lck`)
  await t.rejects(refuseInUse(path), { code: 'image-in-use', message: /box\.vmdk\.lck/ })
  await t.resolves(refuseInUse(join(folder, 'none')), 'that it is not there is for others to say')
})
