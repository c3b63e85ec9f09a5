import t from 'tap'
import { GiB, MiB } from '../../src/base/units.js'
import type { ManifestGuest } from '../../src/build/manifest.js'
import { firmwareCheck, sizesOn, WalkMemory } from '../../src/lab/walk.js'
import type { GuestEvent, Hardware, ReportEvent } from '../../src/plan/report.js'

const guestOf = (name: string, changes: 'keep' | 'discard', order: number): ManifestGuest => ({
  ...{ name, uuid: `uuid-${name}`, firmware: 'bios', changes, autostart: order, ports: [], base: 'b' },
  ...{ cpus: { min: 1, max: 2 }, memory: { min: 256 * MiB, max: 512 * MiB }, ready: { kind: 'agent' } },
})
const guests = [guestOf('keeper', 'keep', 10), guestOf('loser', 'discard', 20)]

const hardware: Hardware = { uuid: 'u', serial: 's', macs: ['52:54:00:00:00:01'], diskSerials: ['d'] }

const told = (name: string, said: string, changes: Partial<GuestEvent> = {}): GuestEvent => ({
  ...{ event: 'guest', name, state: 'ready', reason: '', accelerator: 'kvm', memory: 512 * MiB, cpus: 1 },
  ...{ seconds: 20, said, hypervisor: 'KVM', note: '', confinement: null, hardware },
  ...changes,
})

const pc = { memory: 3 * GiB, cpus: 1, accelerator: 'tcg', virtualization: true } as const

function judged(memory: WalkMemory, events: ReportEvent[], on: Parameters<typeof sizesOn>[0] = pc) {
  const checks = memory.judge(events, guests, sizesOn(on, guests, events))
  return Object.fromEntries(checks.map(({ name, passed }) => [name, passed]))
}

t.test('a stick that is the same on two PCs', async (t) => {
  const memory = new WalkMemory()
  const good = {
    ...{ 'size keeper': true, 'identity keeper': true, 'count keeper': true },
    ...{ 'size loser': true, 'identity loser': true, 'count loser': true },
  }
  t.strictSame(judged(memory, [told('keeper', 'start number 1'), told('loser', 'start number 1')]), good)
  t.strictSame(judged(memory, [told('keeper', 'start number 2'), told('loser', 'start number 1')]), good)
})

t.test('a counter that does not rise by one, or one that rises and should not', async (t) => {
  for (const [keeper, loser] of [
    ['start number 1', 'start number 2'],
    ['start number 3', 'start number 2'],
  ] as const) {
    const memory = new WalkMemory()
    judged(memory, [told('keeper', 'start number 1'), told('loser', 'start number 1')])
    const second = judged(memory, [told('keeper', keeper), told('loser', loser)])
    t.match(second, { 'count keeper': false, 'count loser': false })
  }
})

t.test('a guest that says no number is not judged by it', async (t) => {
  t.notOk('count keeper' in judged(new WalkMemory(), [told('keeper', 'hello')]))
})

t.test('every part of the identity counts', async (t) => {
  const changes: Partial<Hardware>[] = [{ uuid: 'x' }, { serial: 'x' }, { macs: [] }, { diskSerials: ['x'] }]
  for (const change of changes) {
    const memory = new WalkMemory()
    judged(memory, [told('keeper', '')])
    const second = judged(memory, [told('keeper', '', { hardware: { ...hardware, ...change } })])
    t.equal(second['identity keeper'], false, JSON.stringify(change))
  }
  const silent = judged(new WalkMemory(), [told('keeper', '', { hardware: null })])
  t.equal(silent['identity keeper'], false, 'a stick that does not say')
})

t.test('what a guest has of the PC is what sizing says', async (t) => {
  for (const change of [{ memory: 256 * MiB }, { cpus: 2 }, { accelerator: 'tcg' }] as const)
    t.equal(
      judged(new WalkMemory(), [told('keeper', '', change)])['size keeper'],
      false,
      JSON.stringify(change),
    )
})

t.test('a guest that the PC is too small for is not judged, and does not advance', async (t) => {
  const memory = new WalkMemory()
  judged(memory, [told('keeper', 'start number 1')])
  const skipped = told('keeper', '', { state: 'skipped', reason: 'too small', hardware: null })
  t.strictSame(judged(memory, [skipped], { ...pc, memory: 512 * MiB }), {})
  t.equal(judged(memory, [told('keeper', 'start number 2')])['count keeper'], true)
})

t.test("under KVM the host's word on virtualization counts", async (t) => {
  const host = (accelerator: 'kvm' | 'tcg') => [{ event: 'host', accelerator } as unknown as ReportEvent]
  const kvm = { ...pc, accelerator: 'kvm' } as const
  t.equal(sizesOn(kvm, guests, host('kvm'))[0]?.accelerator, 'kvm')
  t.equal(sizesOn(kvm, guests, host('tcg'))[0]?.accelerator, 'tcg')
  t.equal(sizesOn(pc, guests, host('tcg'))[0]?.accelerator, 'kvm', 'under TCG it is sure')
})

t.test('a stick is started by what its PC starts it by', async (t) => {
  const check = (firmware: 'bios' | 'uefi' | 'secureboot', told: object) =>
    firmwareCheck({ firmware }, [{ event: 'host', ...told } as unknown as ReportEvent]).passed
  t.ok(check('bios', { firmware: 'bios', secureBoot: 'unsupported' }))
  t.ok(check('uefi', { firmware: 'uefi', secureBoot: 'unsupported' }))
  t.ok(check('secureboot', { firmware: 'uefi', secureBoot: 'enabled' }))
  t.notOk(check('secureboot', { firmware: 'uefi', secureBoot: 'disabled' }))
  t.notOk(check('uefi', { firmware: 'bios', secureBoot: 'unsupported' }))
  t.notOk(firmwareCheck({ firmware: 'bios' }, []).passed, 'a host that says nothing')
})
