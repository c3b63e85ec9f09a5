import { access, constants } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { KeyvisorError } from '../../src/base/errors.js'
import type { ToolCall, ToolRunner } from '../../src/base/tool.js'
import { probe, runsGuestCode } from '../../src/lab/accelerator.js'
import { labTools } from './lab.js'

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
  for (const code of ['tool-failed', 'tool-timeout']) {
    const broken = qemu(() => Promise.reject(new KeyvisorError(code, 'x')))
    t.equal(await runsGuestCode('kvm', broken, t.testdir()), false, code)
  }
  const missing = qemu(() => Promise.reject(new KeyvisorError('tool-missing', 'x')))
  await t.rejects(runsGuestCode('kvm', missing, t.testdir()), { code: 'tool-missing' })
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
  const usable = await access('/dev/kvm', constants.R_OK | constants.W_OK).then(
    () => true,
    () => false,
  )
  const after = (kvm: number) =>
    qemu(async ({ args }) => {
      await sleep(args.includes('kvm') ? kvm : 100)
      return { stdout: 'K', stderr: '' }
    })
  t.equal(await probe(after(1500), t.testdir()), 'tcg')
  // Without /dev/kvm nothing is asked.
  t.equal(await probe(after(10), t.testdir()), usable ? 'kvm' : 'tcg')
})
