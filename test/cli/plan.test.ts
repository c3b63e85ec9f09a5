/** `plan` as a user runs it, with a real lock, and Ctrl-C. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { stripVTControlCharacters } from 'node:util'
import t from 'tap'
import { keyvisor, onTerminal, start } from '../support/command.js'
import { needTools, skipAloud } from '../support/tools.js'

const TOOLS = ['mmdebstrap', 'unshare', 'apt-get']
const PROFILE = `version: 1
name: small
guests:
  - name: web
    source: {debian: {packages: [busybox]}}
    cpus: {min: 1, max: 4}
    memory: {min: 256MiB, max: 1GiB}
    ready: {tcp: 80}
`

type Skippable = Parameters<typeof skipAloud>[0]

/** Whether a failure is the network's: it makes the test fail in CI only. */
function offline(t: Skippable, { code, stderr }: { code: number | null; stderr: string }): boolean {
  if (code === 0 || process.env['CI'] === 'true' || !/mirror/.test(stderr)) return false
  skipAloud(t, 'no package archive can be reached')
  return true
}

t.test('plan makes the lock, shows everything, and then needs no network', async (t) => {
  if (!needTools(t, ...TOOLS)) return
  const cwd = t.testdir({ 'a.yaml': PROFILE, store: {} })
  const env = { KEYVISOR_STORE: join(cwd, 'store') }
  const first = await keyvisor(['plan', 'a.yaml'], { cwd, env })
  if (offline(t, first)) return
  t.equal(first.code, 0, first.stderr)
  t.match(first.stderr, /^choose package versions, for a\.lock\.json \.\.\.\n.*: done in /)
  const lock = readFileSync(join(cwd, 'a.lock.json'), 'utf8')
  t.match(first.stdout, /^a\.yaml:\d+:\d+: warning no-login: /)
  t.match(first.stdout, /^small: image ≈[\d.]+[MG]iB, smallest stick ≈/m)
  t.match(first.stdout, /│ bios-boot│/)
  t.match(first.stdout, /^host small$/m)
  t.match(first.stdout, /^guest web$/m)
  t.match(first.stdout, /on 4GiB, 2 CPUs +1GiB, 2 CPUs, KVM/)
  t.match(first.stdout, /^ {2}install the host +to do$/m)
  t.notMatch(first.stdout, /stored/, 'an empty store has nothing')

  const again = await keyvisor(['plan', 'a.yaml', '--on', 'ram=600MiB,cpus=1,kvm=no', '--json'], { cwd, env })
  t.equal(again.code, 0, again.stderr)
  t.equal(again.stderr, '', 'nothing was to do')
  t.equal(readFileSync(join(cwd, 'a.lock.json'), 'utf8'), lock, 'the lock is as it was')
  const report = JSON.parse(again.stdout)
  const locked = JSON.parse(lock)
  t.match(report, {
    profile: 'a.yaml',
    lock: { path: 'a.lock.json', made: false },
    plan: { version: 1, name: 'small', epoch: locked.epoch },
    layout: { estimated: true },
    obstacle: null,
    pc: { memory: 600 * 1024 * 1024, cpus: 1, kvm: false },
    guests: [{ definition: { name: 'web' }, sized: { start: false, accelerator: 'tcg' } }],
    warnings: [{ code: 'no-login' }],
  })
  t.equal(report.hostPackages.length, locked.sets.host.length)
  t.equal(report.guests[0].packages.length, locked.sets['guest.web'].length)
  t.match(report.guests[0].sized.reason, /needs 256MiB of memory, 88MiB is left/)
  t.strictSame(
    report.stages.map(({ name, stored }: { name: string; stored: boolean }) => [name, stored]),
    ['tree.host', 'root', 'tree.web', 'disk.web', 'library', 'loader', 'esp', 'settings', 'image'].map(
      (name) => [name, false],
    ),
  )

  // A width of 0 means that nobody knows it (tty_ioctl(4)); colours need a terminal that has them and a user who wants them.
  const bold = '\x1b[1m'
  const coloured = onTerminal('plan a.yaml', 0, { cwd, env })
  t.match(coloured, /│ bios-boot│/)
  t.ok(coloured.includes(bold), coloured)
  for (const plain of [{ TERM: 'dumb' }, { NO_COLOR: '1' }]) {
    const shown = onTerminal('plan a.yaml', 0, { cwd, env: { ...env, ...plain } })
    t.equal(shown, stripVTControlCharacters(coloured), JSON.stringify(plain))
  }
  const narrow = onTerminal('plan a.yaml', 1, { cwd, env })
  t.match(narrow, /^1 {2}bios-boot /m, 'a picture that has no room is a table')
  t.notMatch(narrow, /│/)

  const other = await keyvisor(['plan', 'b.yaml', '--lock', 'a.lock.json'], {
    cwd: t.testdir({ 'b.yaml': PROFILE.replace('busybox', 'nginx-light'), 'a.lock.json': lock }),
    env,
  })
  t.equal(other.code, 0)
  t.match(other.stderr, /choose package versions anew, since a\.lock\.json is for other packages or images/)
})

t.test('a lock that is damaged', async (t) => {
  if (!needTools(t, ...TOOLS)) return
  const cwd = t.testdir({ 'a.yaml': PROFILE, 'a.lock.json': '{"version": 1', store: {} })
  const { code, stderr } = await keyvisor(['plan', 'a.yaml'], {
    cwd,
    env: { KEYVISOR_STORE: join(cwd, 'store') },
  })
  t.equal(code, 1)
  t.match(stderr, /^keyvisor: the lock a\.lock\.json is damaged\n {2}hint: make it anew with --update\n$/)
})

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  t.test(`${signal} ends the work, and leaves nothing`, async (t) => {
    if (!needTools(t, ...TOOLS)) return
    const cwd = t.testdir({ 'a.yaml': PROFILE, store: {} })
    const { child, ended, said } = start(['plan', 'a.yaml'], {
      cwd,
      env: { KEYVISOR_STORE: join(cwd, 'store') },
    })
    await said('choose package versions')
    await new Promise((resolve) => setTimeout(resolve, 1000))
    child.kill(signal)
    const { code, stdout, stderr } = await ended
    t.equal(code, 130)
    t.equal(stdout, '')
    t.match(stderr, /\nkeyvisor: interrupted\n$/)
    t.notOk(existsSync(join(cwd, 'a.lock.json')), 'no lock is left half-made')
    t.strictSame(readdirSync(join(cwd, 'store/tmp')), [])
    t.strictSame(processesWith(join(cwd, 'store')), [], 'no child is left')
  })
}

/** Command lines of running processes that name a path. */
function processesWith(path: string): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'latin1').replaceAll('\0', ' ')
      } catch {
        return ''
      }
    })
    .filter((line) => line.includes(path))
}
