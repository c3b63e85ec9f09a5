import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { systemTools, type ToolCall, type ToolRunner } from '../../src/base/tool.js'
import { ToolError } from '../../src/base/tool-errors.js'
import { fasterOne, runsGuestCode } from '../../src/pc/accelerator.js'
import { labTools } from '../support/lab.js'

t.test("the probe's guest runs and switches off: shown with TCG, which every machine has", async (t) => {
  const tools = await labTools(t)
  if (!tools) return
  t.equal(await runsGuestCode('tcg', tools, t.testdir()), true)
})

/** A runner whose QEMU ends in this way. */
function qemu(end: (call: ToolCall) => Promise<{ stdout: string; stderr: string }>): ToolRunner {
  return { argv: () => [], run: end }
}

t.test('a QEMU that ends well without the sign of its guest is not believed', async (t) => {
  const silent = qemu(async () => ({ stdout: '', stderr: '' }))
  t.equal(await runsGuestCode('kvm', silent, t.testdir()), false)
})

t.test('one that aborts or hangs means no; a missing one is an error', async (t) => {
  const ending = (script: string, timeout?: number) =>
    qemu(() => systemTools.run({ tool: 'sh', args: ['-c', script], ...(timeout ? { timeout } : {}) }))
  for (const broken of [ending('exit 1'), ending('kill -ABRT $$'), ending('sleep 9', 0.2)])
    t.equal(await runsGuestCode('kvm', broken, t.testdir()), false)
  const missing = qemu(() => systemTools.run({ tool: 'keyvisor-none', args: [] }))
  await t.rejects(runsGuestCode('kvm', missing, t.testdir()), { code: 'tool-missing' })
  await t.rejects(runsGuestCode('kvm', ending('kill -KILL $$'), t.testdir()), { code: 'tool-killed' })
  const full = ending('echo "cannot set up guest memory: Cannot allocate memory" >&2; exit 1')
  await t.rejects(runsGuestCode('kvm', full, t.testdir()), { code: 'tool-failed' }, 'no memory is not no KVM')
})

t.test('KVM is asked of the device, within a time limit', async (t) => {
  const calls: ToolCall[] = []
  const watch = qemu(async (call) => {
    calls.push(call)
    return { stdout: 'K', stderr: '' }
  })
  t.equal(await runsGuestCode('kvm', watch, t.testdir()), true)
  t.match(calls[0]?.binds?.at(-1), { path: '/dev/kvm', device: true })
  t.ok((calls[0]?.timeout ?? Number.POSITIVE_INFINITY) <= 10)
})

t.test('a KVM that is slower than emulation is emulated itself', async (t) => {
  const taking = (kvm: number, tcg: number) =>
    qemu(async ({ args }) => {
      await sleep(args.includes('kvm') ? kvm : tcg)
      return { stdout: 'K', stderr: '' }
    })
  t.equal(await fasterOne(taking(1500, 100), t.testdir()), 'tcg')
  t.equal(
    await fasterOne(taking(1500, 500), t.testdir()),
    'kvm',
    'where all is slow, KVM still is the faster',
  )
  t.equal(await fasterOne(taking(10, 100), t.testdir()), 'kvm')
})

t.test('a KVM that runs nothing is none', async (t) => {
  const hanging = qemu(({ args }) =>
    args.includes('kvm')
      ? Promise.reject(new ToolError('tool-timeout', 'x'))
      : Promise.resolve({ stdout: 'K', stderr: '' }),
  )
  t.equal(await fasterOne(hanging, t.testdir()), 'tcg')
})
