import t from 'tap'
import type { GuestEvent, HostEvent, ReportEvent } from '../../src/guest/report.js'
import { judgeEvents } from '../../src/lab/prove.js'
import type { StickManifest } from '../../src/stick/manifest.js'

/** Of the manifest, what a verdict depends on. */
function manifest(
  ...guests: { name: string; autostart: number | null; ready: { kind: string } }[]
): StickManifest {
  return { guests } as unknown as StickManifest
}

const host: HostEvent = {
  event: 'host',
  name: 'demo',
  firmware: 'bios',
  secureBoot: 'unsupported',
  accelerator: 'kvm',
  memory: 1,
  cpus: 1,
  version: 2,
  architecture: 'amd64',
  slot: 'a',
  slots: { a: null, b: null },
  seconds: 31.4,
}

function guest(name: string, state: GuestEvent['state'], reason = ''): GuestEvent {
  return {
    event: 'guest',
    name,
    state,
    reason,
    accelerator: 'kvm',
    memory: 1,
    cpus: 1,
    seconds: 20.2,
    said: '',
    hypervisor: '',
    note: '',
    confinement: null,
    hardware: null,
  }
}

const done: ReportEvent = {
  event: 'done',
  seconds: 60,
  guests: { ready: 0, started: 0, failed: 0, skipped: 0 },
}

const log = { name: 'web', autostart: 10, ready: { kind: 'log' } }

/** The checks as lines. */
function verdict(events: ReportEvent[], stick: StickManifest, why = ''): string[] {
  return judgeEvents(events, stick, why).map(
    ({ name, passed, detail }) => `${passed ? 'ok' : 'FAILED'} ${name}: ${detail}`,
  )
}

t.test('a good boot passes: host, guests, end of report', async (t) => {
  t.strictSame(verdict([host, guest('web', 'ready'), done], manifest(log)), [
    'ok host: up after 31 s',
    'ok guest web: ready after 20 s',
  ])
})

t.test('silence passes nothing', async (t) => {
  t.strictSame(verdict([], manifest(log), 'within 40 s'), [
    'FAILED host: it did not say that it is up within 40 s',
    'FAILED guest web: the stick said nothing of it within 40 s',
  ])
})

t.test('a report without an end does not pass, even when every guest is ready', async (t) => {
  t.strictSame(verdict([host, guest('web', 'ready')], manifest(log), 'within 9 s'), [
    'ok host: up after 31 s',
    'ok guest web: ready after 20 s',
    'FAILED report: it did not come to its end within 9 s',
  ])
})

t.test('a guest that the stick still waits for is named', async (t) => {
  t.strictSame(verdict([host], manifest(log), 'within 9 s'), [
    'ok host: up after 31 s',
    'FAILED guest web: it was not ready within 9 s',
    'FAILED report: it did not come to its end within 9 s',
  ])
})

t.test('an end that leaves out a guest does not pass', async (t) => {
  t.strictSame(verdict([host, done], manifest(log)), [
    'ok host: up after 31 s',
    'FAILED guest web: the stick said nothing of it',
  ])
})

t.test('started is enough only where the profile asks for no sign', async (t) => {
  const silent = { ...log, ready: { kind: 'none' } }
  t.strictSame(verdict([host, guest('web', 'started', 'started, not proven'), done], manifest(silent)), [
    'ok host: up after 31 s',
    'ok guest web: started, not proven',
  ])
  t.match(verdict([host, guest('web', 'started'), done], manifest(log)), [
    'ok host: up after 31 s',
    'FAILED guest web: started',
  ])
})

t.test('failed and skipped fail with their reason', async (t) => {
  for (const state of ['failed', 'skipped'] as const)
    t.equal(
      verdict([host, guest('web', state, 'too little memory'), done], manifest(log))[1],
      `FAILED guest web: ${state}: too little memory`,
    )
})

t.test('a guest that does not start by itself is not waited for', async (t) => {
  const manual = { ...log, autostart: null }
  t.strictSame(verdict([host, guest('web', 'skipped', 'not started'), done], manifest(manual)), [
    'ok host: up after 31 s',
  ])
})

t.test('a problem fails a boot that is otherwise good', async (t) => {
  const problem: ReportEvent = {
    event: 'problem',
    code: 'verity',
    message: 'verity: library has a bad block',
  }
  t.strictSame(verdict([host, problem, guest('web', 'ready'), done], manifest(log)), [
    'ok host: up after 31 s',
    'ok guest web: ready after 20 s',
    'FAILED problem verity: verity: library has a bad block',
  ])
})

t.test('a stick that is full did not pass', async (t) => {
  const data = (state: 'full' | 'free'): ReportEvent => ({
    event: 'data',
    state,
    free: 4096,
    guests: ['web'],
  })
  const good = [host, guest('web', 'ready'), done]
  t.ok(verdict([...good, data('full')], manifest(log)).includes('FAILED data: full; paused: web'))
  t.notOk(verdict([...good, data('free')], manifest(log)).some((line) => line.includes('data')))
})

t.test('a PC that was reset did not pass, well as it may have started then', async (t) => {
  const events = [host, guest('web', 'ready'), { ...host, seconds: 29 }, guest('web', 'ready'), done]
  t.ok(verdict(events, manifest(log)).includes('FAILED restart: the host came up 2 times in one boot'))
})

t.test('a guest that the PC is too small for passes when the stick says just that', async (t) => {
  const reason = 'needs 1GiB of memory, 512MiB is left on this PC'
  const judged = (told: Partial<GuestEvent>) => {
    const events = [host, { ...guest('web', 'skipped'), ...told }, done]
    const checks = judgeEvents(events, manifest(log), '', new Map([['web', reason]]))
    return checks.find(({ name }) => name === 'guest web')?.passed
  }
  t.equal(judged({ reason }), true)
  t.equal(judged({ reason: 'no data partition' }), false)
  t.equal(judged({ state: 'ready', reason: '' }), false)
})

t.test(
  'a guest that runs without a disk of its own did not pass, unless somebody edited its domain',
  async (t) => {
    const drives = [{ kind: 'overlay', serial: 'A' }, { kind: 'cdrom' }, { kind: 'empty', serial: 'B' }]
    const stick = manifest({ ...log, drives } as typeof log)
    const judged = (diskSerials: string[], note = '') => {
      const hardware = { diskSerials } as unknown as GuestEvent['hardware']
      const events = [host, { ...guest('web', 'ready'), hardware, note }, done]
      return verdict(events, stick).find((line) => line.includes('guest web'))
    }
    t.match(judged(['A', 'B']), /^ok /)
    t.equal(judged(['A']), 'FAILED guest web: its disks are A, and were built as A, B')
    t.match(judged(['A'], 'its domain is not as it was defined'), /^ok /)
  },
)
