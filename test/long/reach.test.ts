/**
 * How a stick is reached, from here through QEMU's user network: SSH with the profile's key, the guest's page, libvirt
 * over SSH, and nothing else. What the report says of it is compared with what the stick's own tools say.
 */
import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { systemTools } from '../../src/base/tool.js'
import { GiB, MiB } from '../../src/base/units.js'
import type { GuestEvent, NetworkEvent } from '../../src/guest/report.js'
import { type Trial, withTrial } from '../../src/lab/trial.js'
import { isEvent, openStick, serialText, waitFor } from '../support/demo.js'
import { needTools } from '../support/tools.js'

/** The demo, with a key that logs in. */
async function profileWithKey(folder: string): Promise<{ profile: string; key: string }> {
  const key = join(folder, 'key')
  await systemTools.run({ tool: 'ssh-keygen', args: ['-q', '-t', 'ed25519', '-N', '', '-f', key] })
  const demo = await readFile('profiles/demo.yaml', 'utf8')
  const text = demo
    .replace('sshKeys: []', `sshKeys: ["${(await readFile(`${key}.pub`, 'utf8')).trim()}"]`)
    .replaceAll('source: demo/', `source: ${resolve('profiles/demo')}/`)
  const profile = join(folder, 'reach.yaml')
  await writeFile(profile, text)
  return { profile, key }
}

/** What a command prints on the stick, for one who has the key. */
async function on({ ssh }: Trial, key: string, command: string): Promise<string> {
  const [tool = 'false', ...args] = ssh ?? []
  const { stdout } = await systemTools.run({ tool, args: ['-i', key, ...args, command], timeout: 240 })
  return stdout.trim()
}

/** Ports that are tried at the same time. */
const BATCH = 1000

/** Of the stick's TCP ports, those that take a connection: the stick answers with a reset to every other. */
async function openPorts(trial: Trial): Promise<number[]> {
  const open: number[] = []
  for (let first = 1; first < 65536; first += BATCH) {
    const ports = Array.from({ length: Math.min(BATCH, 65536 - first) }, (_, index) => first + index)
    const forward = (port: number) => `tcp:127.77.0.1:${10_000 + port - first}`
    for (const port of ports) {
      const refused = await trial.monitor(`hostfwd_add uplink ${forward(port)}-:${port}`)
      if (refused.trim() !== '') throw new Error(refused)
    }
    const results = await Promise.all(ports.map((port) => staysOpen(10_000 + port - first)))
    open.push(...ports.filter((_, index) => results[index]))
    for (const port of ports) await trial.monitor(`hostfwd_remove uplink ${forward(port)}`)
  }
  return open
}

/** QEMU itself takes every connection, and ends it when the stick refuses. */
async function staysOpen(port: number): Promise<boolean> {
  const socket = connect(port, '127.77.0.1')
  socket.on('error', () => {})
  socket.resume()
  const closed = once(socket, 'close').then(() => false)
  const stays = await Promise.race([closed, sleep(20_000, true, { ref: false })])
  socket.destroy()
  return stays
}

const guestsOf = ({ events }: Trial) => events.filter((event): event is GuestEvent => event.event === 'guest')

if (needTools(t, 'ssh', 'ssh-keygen', 'virsh')) {
  const { profile, key } = await profileWithKey(t.testdir())
  const stick = await openStick(t, profile)
  t.setTimeout(50 * 60 * 1000)

  const test = (name: string, options: object, check: (t: Test, trial: Trial) => Promise<void>) =>
    t.test(name, (t) =>
      stick
        ? withTrial(stick.image, { accelerator: 'tcg', ...options }, stick.place, async (trial) => {
            const done = await waitFor(trial, 900, isEvent('done'))
            if (!t.ok(done, 'done', { serial: (await serialText(trial)).slice(-2000) })) return
            t.match(done, { guests: { ready: 2 } })
            await check(t, trial)
          })
        : Promise.resolve(),
    )

  await test('a usual PC', {}, async (t, trial) => {
    await t.test("the guest's page", async (t) => {
      const page = await fetch(trial.links[0]?.url ?? '').then((response) => response.text())
      t.match(page, /started <b>\d+<\/b> time/)
    })

    await t.test('libvirt over SSH', async (t) => {
      const [port] = trial.pc.forwards
      const uri = `qemu+ssh://admin@127.0.0.1:${port?.here}/system?keyfile=${key}&no_verify=1`
      const list = ['-q', '-c', uri, 'list', '--name']
      const { stdout } = await systemTools.run({ tool: 'virsh', args: list, timeout: 120 })
      t.strictSame(stdout.trim().split('\n').sort(), ['counter', 'forgetful'])
    })

    await t.test('the report says of each QEMU what the kernel says', async (t) => {
      for (const { name, confinement } of guestsOf(trial)) {
        const pid = await on(trial, key, `cat /run/libvirt/qemu/${name}.pid`)
        const seen = await on(
          trial,
          key,
          `sudo tr -d '\\0' < /proc/${pid}/attr/current; grep ^Seccomp: /proc/${pid}/status; ps -o user= -p ${pid}
           virsh -c qemu:///system domuuid ${name}`,
        )
        const [apparmor, seccomp, user, uuid] = seen.split('\n')
        t.equal(apparmor, `libvirt-${uuid} (enforce)`, name)
        t.strictSame(confinement, { apparmor, user: 'libvirt-qemu', seccomp: true })
        t.match(seccomp, /^Seccomp:\t2$/)
        t.match(user, /^libvirt/)
      }
    })

    await t.test('the report says what listens', async (t) => {
      const told = trial.events.find((event): event is NetworkEvent => event.event === 'network')
      const seen = await on(trial, key, `ss -H -lntu | awk '{print $1, $5}'`)
      const lines = told?.listens.map(({ protocol, address, port }) => `${protocol} ${address}:${port}`)
      t.strictSame(lines?.sort(), seen.split('\n').sort())
      t.notOk(
        told?.listens.some(({ port }) => port === 16509 || port === 16514),
        'no libvirt over TCP',
      )
      t.ok(told?.listens.some(({ port }) => port === 22))
    })

    await t.test('a scan of every TCP port', async (t) => {
      const began = Date.now()
      t.strictSame(await openPorts(trial), [22, 8080])
      t.comment(`scanned in ${Math.round((Date.now() - began) / 1000)} s`)
    })
  })

  await test("a PC whose network has the guests' subnet", { network: '172.29.86.0/24' }, async (t, trial) => {
    const told = trial.events.find((event): event is NetworkEvent => event.event === 'network')
    t.match(told, { subnet: '172.30.86.1/24', addresses: [/ 172\.29\.86\.15\/24$/] })
    const page = await fetch(trial.links[0]?.url ?? '').then((response) => response.text())
    t.match(page, /started <b>1<\/b> time/)
  })

  await test('a stick that gets full', { stickSize: 4 * GiB }, async (t, trial) => {
    const isFull = isEvent('data')
    await on(trial, key, 'sudo chmod 1777 /data; dd if=/dev/zero of=/data/fill bs=1M 2>/dev/null; true')
    // A guest that starts writes to its disk.
    await on(trial, key, 'for name in counter forgetful; do virsh -q -c qemu:///system reset $name; done')
    const full = await waitFor(trial, 400, isFull)
    if (!t.match(full, { event: 'data', state: 'full' })) return
    t.match(
      await on(trial, key, 'cat /run/issue.d/20-keyvisor.issue'),
      /the stick is full: guests? .* paused/,
    )
    t.ok((full?.free ?? GiB) < 64 * MiB)
    await on(trial, key, 'rm /data/fill')
    const free = await waitFor(
      trial,
      60,
      (event): event is typeof event & { event: 'data' } => event.event === 'data' && event.state === 'free',
    )
    t.match(free, { event: 'data', state: 'free' })
    t.notMatch(await on(trial, key, 'cat /run/issue.d/20-keyvisor.issue'), /the stick is full/)
    t.equal(await on(trial, key, 'virsh -q -c qemu:///system domstate counter'), 'running')
  })
}
