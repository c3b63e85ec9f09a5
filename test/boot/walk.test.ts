/**
 * The demo's stick goes over three PCs: by BIOS, UEFI and Secure Boot, on other boards with other memory. On two of them its
 * guests run with real KVM inside the emulated PC, confined, as the same machines as before; one remembers, one forgets, and
 * the stick itself stays who it is. The PC between has no room for them: each start of a guest, emulated, is minutes more.
 * TCG is named: there the nested KVM is sure to exist.
 */
import { readFile } from 'node:fs/promises'
import t from 'tap'
import { decodeMbr } from '../../src/disk/mbr.js'
import type { GuestEvent } from '../../src/guest/report.js'
import type { Trial } from '../../src/lab/trial.js'
import { type WalkRun, walkImage } from '../../src/lab/walk.js'
import { loadMachines } from '../../src/pc/catalogue.js'
import { type Demo, isEvent, onStick, openDemo } from '../support/demo.js'

interface Seen {
  page: string
  machineId: string
  hostKey: string
  confinement: string[]
  secureBoot: string
  /** LBA 0 of the stick, in base64. */
  firstSector: string
  /** Texts of the settings partition. */
  settings: string
  /** Whether a module of graphics loads that needs many others. */
  graphics: string
}

async function look(trial: Trial, guests: Record<string, string>): Promise<Seen> {
  const page = guests['counter'] ? await fetch(trial.links[0]?.url ?? '').then((answer) => answer.text()) : ''
  const asked = await onStick(
    trial,
    `cat /etc/machine-id; ssh-keyscan -q -t ed25519 127.0.0.1 | cut -d' ' -f3
     for pid in $(pgrep -f '^/usr/bin/qemu-system'); do sudo cat /proc/$pid/attr/current; done`,
  )
  const [machineId = '', hostKey = '', ...confinement] = asked
    .split('\n')
    .map((line) => line.replace(/\0/g, ''))
  const secureBoot = await onStick(trial, "sudo dmesg | grep -i -e 'secure boot' -e lockdown; true")
  const firstSector = await onStick(
    trial,
    '. /run/keyvisor/stick; sudo head -c 512 "/dev/$disk" | base64 -w0',
  )
  const settings = await onStick(
    trial,
    `. /run/keyvisor/stick; sudo mount -o ro "/dev/$settings" /mnt
     cat /mnt/README.txt /mnt/last-boot.txt; sudo umount /mnt`,
  )
  const graphics = await onStick(trial, 'sudo modprobe i915 && lsmod | grep -o "^i915 "')
  return { page, machineId, hostKey, confinement, secureBoot, firstSector, settings, graphics }
}

/** How AppArmor is to confine the QEMU of each guest, by their names. */
async function profilesOf({ image }: Demo): Promise<Map<string, string>> {
  const { guests } = JSON.parse(await readFile(image.replace(/\.img$/, '.manifest.json'), 'utf8'))
  return new Map(
    guests.map(({ name, uuid }: { name: string; uuid: string }) => [name, `libvirt-${uuid} (enforce)`]),
  )
}

/** What the host is to say on each PC. Debian's plain OVMF is built without Secure Boot, which is another thing than off. */
const HOSTS = {
  old: { firmware: 'bios' },
  thin: { firmware: 'uefi', secureBoot: 'unsupported' },
  office: { firmware: 'uefi', secureBoot: 'enabled' },
}
/** What the guests are to say there; `thin` is too small for either. */
const GUESTS: Record<string, Record<string, string>> = {
  old: { counter: 'start number 1', forgetful: 'start number 1' },
  thin: {},
  office: { counter: 'start number 2', forgetful: 'start number 1' },
}

const demo = await openDemo(t)

if (demo) {
  t.setTimeout(60 * 60 * 1000)
  const profiles = await profilesOf(demo)
  const machines = await loadMachines('fixtures/machines/three.yaml')
  const seen = new Map<string, Seen>()
  const { runs } = await walkImage(
    demo.image,
    machines,
    {
      accelerator: 'tcg',
      ssh: true,
      visit: async (trial, { name }) => void seen.set(name, await look(trial, GUESTS[name] ?? {})),
      onProof: ({ name }, { passed, seconds }) =>
        console.error(`# ${name}: ${passed ? 'passed' : 'FAILED'}, done after ${seconds} s`),
    },
    demo.place,
  )
  t.strictSame(
    runs.map(({ machine }) => machine.name),
    Object.keys(GUESTS),
  )

  const guestsOn = ({ proof }: WalkRun): GuestEvent[] => proof.events.filter(isEvent('guest'))
  const first = seen.get('old')

  for (const run of runs) {
    const { machine, proof } = run
    const guests = GUESTS[machine.name] ?? {}
    await t.test(machine.name, async (t) => {
      if (!t.ok(proof.passed, 'the proof', { checks: proof.checks, serial: proof.serialTail })) return
      t.equal(proof.shutdown, 'off')
      const checked = proof.checks.map(({ name }) => name)
      const wanted = Object.keys(guests).flatMap((name) => [
        `size ${name}`,
        `identity ${name}`,
        `said ${name}`,
      ])
      for (const name of ['pc', 'firmware', ...wanted]) t.ok(checked.includes(name), `${name} was checked`)
      t.match(proof.events[0], {
        event: 'host',
        name: 'demo',
        accelerator: 'kvm',
        ...HOSTS[machine.name as keyof typeof HOSTS],
      })
      const running = guestsOn(run).filter(({ state }) => state === 'ready')
      t.strictSame(Object.fromEntries(running.map(({ name, said }) => [name, said])), guests)
      for (const { name, hypervisor } of running) t.equal(hypervisor, 'KVM', `${name} runs under KVM`)
      const found = seen.get(machine.name) as Seen
      const { page, machineId, hostKey, confinement, firstSector, settings } = found
      t.equal(found.graphics, 'i915', "Intel's graphics load, with all that they need")
      const count = /\d+$/.exec(guests['counter'] ?? '')?.[0]
      if (count)
        t.match(page, new RegExp(`started <b>${count}</b> time`), 'the page through the forwarded port')
      const enforced = Object.keys(guests).map((name) => profiles.get(name))
      t.strictSame([...confinement].sort(), enforced.sort(), 'each QEMU has an AppArmor profile of its own')
      t.match(machineId, /^[0-9a-f]{32}$/)
      t.equal(machineId, first?.machineId, 'machine-id')
      t.match(hostKey, /^AAAAC3NzaC1lZDI1NTE5/)
      t.equal(hostKey, first?.hostKey, 'SSH host key')
      const mbr = decodeMbr(Buffer.from(firstSector, 'base64'))
      t.match(mbr, { protective: true, active: true }, "LBA 0 after the first boot's partitioning")
      t.match(settings, /^This is a Keyvisor stick: demo\r$/m)
      for (const guest of ['counter', 'forgetful'])
        t.match(settings, new RegExp(`^ *(Guests)? +${guest}: ${guest in guests ? 'ready' : 'skipped'}`, 'm'))
    })
  }

  await t.test('the PC that is too small for the guests says why they are left out', async (t) => {
    const left = (guest: string) => runs[1]?.proof.checks.find(({ name }) => name === `guest ${guest}`)
    const why = (least: string) => `left out: needs ${least} of memory, 128MiB is left on this PC`
    t.match(left('counter'), { passed: true, detail: why('256MiB') })
    t.match(left('forgetful'), { passed: true, detail: why('192MiB') })
  })

  await t.test('the other system is as it was', async (t) => {
    t.match(
      runs[2]?.proof.checks.find(({ name }) => name === 'other disk'),
      { passed: true },
    )
  })

  await t.test('Secure Boot is enforced, and the kernel is locked down', async (t) => {
    const log = seen.get('office')?.secureBoot
    t.match(log, /secureboot: Secure boot enabled/i)
    t.match(log, /Kernel is locked down from EFI Secure Boot/)
    t.notMatch(seen.get('thin')?.secureBoot, /locked down from EFI/)
  })
}
