/**
 * The demo under BIOS, twice on one stick: guests with real KVM inside the emulated PC, what is kept and what is
 * forgotten, confinement, identity, and a clean shutdown. TCG is named: there the nested KVM is sure to exist.
 */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { type Proof, proveImage } from '../../src/lab/prove.js'
import type { Trial } from '../../src/lab/trial.js'
import type { GuestEvent } from '../../src/plan/report.js'
import { onStick, openDemo } from './demo.js'

function guest({ events }: Proof, name: string): GuestEvent | undefined {
  return events.find((event) => event.event === 'guest' && event.name === name) as GuestEvent | undefined
}

interface Seen {
  page: string
  machineId: string
  hostKey: string
  confinement: string[]
}

async function look(trial: Trial): Promise<Seen> {
  const page = await fetch(trial.links[0]?.url ?? '').then((response) => response.text())
  const asked = await onStick(
    trial,
    `cat /etc/machine-id; ssh-keyscan -q -t ed25519 127.0.0.1 | cut -d' ' -f3
     for pid in $(pgrep -f '^/usr/bin/qemu-system'); do sudo cat /proc/$pid/attr/current; done`,
  )
  const [machineId = '', hostKey = '', ...confinement] = asked
    .split('\n')
    .map((line) => line.replace(/\0/g, ''))
  return { page, machineId, hostKey, confinement }
}

const demo = await openDemo(t)

if (demo) {
  const keep = join(t.testdir(), 'stick.qcow2')
  const boots: { proof: Proof; seen: Seen }[] = []

  const boot = async () => {
    let seen: Seen | undefined
    const visit = async (trial: Trial) => {
      seen = await look(trial)
    }
    const proof = await proveImage(demo.image, { accelerator: 'tcg', ssh: true, keep, visit }, demo.run)
    if (seen) boots.push({ proof, seen })
    return { proof, seen }
  }

  await t.test(
    'the first boot: every guest is ready, with KVM, and the stick shuts down cleanly',
    async (t) => {
      const { proof, seen } = await boot()
      if (!t.ok(proof.passed, 'the proof', { checks: proof.checks, serial: proof.serialTail })) return
      t.comment(`guests done after ${proof.seconds} s`)
      t.equal(proof.shutdown, 'off')
      for (const name of ['counter', 'forgetful']) {
        t.equal(guest(proof, name)?.hypervisor, 'KVM', `${name} runs under KVM`)
        t.equal(guest(proof, name)?.said, 'start number 1', `${name} counts 1`)
      }
      t.match(seen?.page, /started <b>1<\/b> time</, 'the page through the forwarded port')
    },
  )

  await t.test('AppArmor confines each QEMU by a profile of its own', async (t) => {
    const { guests } = JSON.parse(await readFile(demo.image.replace(/\.img$/, '.manifest.json'), 'utf8'))
    const wanted = guests.map(({ uuid }: { uuid: string }) => `libvirt-${uuid} (enforce)`)
    t.strictSame([...(boots[0]?.seen.confinement ?? [])].sort(), wanted.sort())
  })

  await t.test('the second boot: one guest remembers, one forgets, and the stick is the same', async (t) => {
    const { proof, seen } = await boot()
    if (!t.ok(proof.passed, 'the proof', { checks: proof.checks, serial: proof.serialTail })) return
    t.comment(`guests done after ${proof.seconds} s`)
    t.equal(guest(proof, 'counter')?.said, 'start number 2')
    t.equal(guest(proof, 'forgetful')?.said, 'start number 1')
    const first = boots[0]?.seen
    t.match(first?.machineId, /^[0-9a-f]{32}$/)
    t.equal(seen?.machineId, first?.machineId, 'machine-id')
    t.match(first?.hostKey, /^AAAAC3NzaC1lZDI1NTE5/)
    t.equal(seen?.hostKey, first?.hostKey, 'SSH host key')
  })
}
