/**
 * One guest's start: its disks and folders, its domain's start, and the wait for its sign.
 *
 * Everything here throws an Error whose message is for a person: it becomes the reason of a failed guest.
 * Left out: what the domain is (`definition.ts`).
 */

import { type Bytes, MiB } from '../base/units.js'
import type { Accelerator, Drive, LibraryFile, LibraryGuest } from '../guest/definition.js'
import { basesOf } from '../guest/drives.js'
import { addressOf } from '../guest/firewall.js'
import { domainPaths, LIBRARY } from '../guest/paths.js'
import { consoleLines } from '../guest/report.js'
import { hypervisorOf } from './facts.js'
import { type Machine, must } from './machine.js'

/**
 * Seconds that a guest has for its sign. Emulation is five to ten times slower than KVM, and KVM in an emulated PC lies
 * between: on a builder that was busy besides, a small Debian took 245.
 */
const PATIENCE: Record<Accelerator, number> = { kvm: 600, tcg: 900 }

/** Milliseconds between two looks for it. */
const LOOK_EVERY = 1000

/** Looks between two at the space on data. */
const SPACE_EVERY = 5

/**
 * Overlays allocate in 4 KiB steps inside 128 KiB clusters, which spares a stick the copying of whole clusters
 * (qcow2.txt, "Extended L2 Entries").
 */
const QCOW2_OPTIONS = 'cluster_size=128k,extended_l2=on'

/** Makes what is missing of the guest's disks. An overlay of another base is an error, never touched. */
export function prepareDisks(machine: Machine, guest: LibraryGuest): void {
  const paths = domainPaths(guest)
  const missing = basesOf([guest]).find(({ file }) => !machine.exists(`${LIBRARY}/${file}`))
  if (missing) throw new Error(`the library does not hold its base image ${missing.sha256}`)
  must(machine, ['mkdir', '-p', '-m', '0711', '/data/guests', paths.folder])
  guest.drives.forEach((drive, index) => {
    if (drive.kind !== 'cdrom') prepareDisk(machine, drive, paths.drives[index] as string)
  })
}

type Disk = Exclude<Drive<LibraryFile>, { kind: 'cdrom' }>

function prepareDisk(machine: Machine, disk: Disk, path: string): void {
  const base = disk.kind === 'overlay' ? `${LIBRARY}/${disk.base.file}` : undefined
  if (machine.exists(path)) checkBase(machine, path, base)
  else createDisk(machine, path, disk.size, base === undefined ? [] : ['-F', 'qcow2', '-b', base])
}

/** On another base an overlay would be read as garbage, silently; and an empty disk has none. */
function checkBase(machine: Machine, disk: string, base: string | undefined): void {
  const text = must(machine, ['qemu-img', 'info', '-U', '-f', 'qcow2', '--output=json', disk])
  const backing = (JSON.parse(text) as { 'backing-filename'?: string })['backing-filename']
  const words = (one: string | undefined) => one ?? 'no base image'
  if (backing !== base)
    throw new Error(`its overlay ${disk} belongs to ${words(backing)}, not to ${words(base)}`)
}

/** Folders that the guest shares with the stick. What is in one stays when no guest names it any more. */
export function prepareShares(machine: Machine, guest: LibraryGuest): void {
  const { shares } = domainPaths(guest)
  if (shares.length > 0) must(machine, ['mkdir', '-p', ...shares])
}

function createDisk(machine: Machine, path: string, size: number, backing: string[]): void {
  const unfinished = `${path}.new`
  const create = ['qemu-img', 'create', '-q', '-f', 'qcow2', ...backing, '-o', QCOW2_OPTIONS]
  must(machine, [...create, unfinished, String(size)])
  settle(machine, unfinished, path)
}

/** Under its final name there is only ever a whole file, also when the stick is pulled meanwhile. */
export function settle(machine: Machine, unfinished: string, path: string): void {
  must(machine, ['sync', unfinished])
  must(machine, ['mv', '-T', unfinished, path])
  must(machine, ['sync', path.slice(0, path.lastIndexOf('/'))])
}

export function startDomain(machine: Machine, guest: LibraryGuest): void {
  must(machine, virsh('start', guest.name))
}

/** libvirt keeps this file while the guest's QEMU runs; asking virsh would cost 0.3 s under emulation. */
export function isRunning(machine: Machine, { name }: Pick<LibraryGuest, 'name'>): boolean {
  return machine.exists(`/run/libvirt/qemu/${name}.pid`)
}

/** From here on guests' states are asked for; asking costs more than reading what is free. */
export const LOW: Bytes = 512 * MiB

/** What a guest needs to go on: with less it would be paused again at once. */
export const ENOUGH: Bytes = 64 * MiB

/** What guests can still write, whose QEMU is not root: ext4 keeps a last hundredth for that (mke2fs(8), -m). */
export function freeBytes(machine: Machine): Bytes {
  return Number(must(machine, ['df', '--output=avail', '-B1', '/data']).split('\n')[1])
}

/** QEMU pauses a guest that it cannot write for (`werror=enospc`, its default for virtio disks): nothing is lost. */
export function isPaused(machine: Machine, name: string): boolean {
  return (
    isRunning(machine, { name }) &&
    must(machine, virsh('domstate', name, '--reason')).includes('paused (I/O error)')
  )
}

/** Waits for the sign that the profile names. Throws Error when the guest ends, is paused, or gives none in time. */
export function awaitSign(machine: Machine, guest: LibraryGuest, accelerator: Accelerator): void {
  const gaveSign = signOf(machine, guest)
  const deadline = machine.now() + PATIENCE[accelerator] * 1000
  for (let looks = 1; !gaveSign(); looks++) {
    if (!isRunning(machine, guest))
      throw new Error(`it ended before it was ready${lastWords(machine, guest)}`)
    if (looks % SPACE_EVERY === 0 && freeBytes(machine) < LOW && isPaused(machine, guest.name))
      throw new Error('the stick is full: it is paused until there is space on /data')
    if (machine.now() > deadline) throw new Error(`it gave no sign within ${PATIENCE[accelerator]} s`)
    machine.sleep(LOOK_EVERY)
  }
}

/** What libvirt says of a guest that ended, as `: shut off (crashed)`, and the last of what its QEMU complained of. */
function lastWords(machine: Machine, { name }: Pick<LibraryGuest, 'name'>): string {
  const state = machine.run(virsh('domstate', name, '--reason')).stdout.trim()
  const log = consoleLines(machine.readFile(`/var/log/libvirt/qemu/${name}.log`) ?? '')
  const start = log.findLastIndex((line) => line.includes(': starting up '))
  const { complaint: form } = hypervisorOf(machine)
  const complaint = log.slice(start + 1).findLast((line) => form.test(line))
  return [state, complaint?.slice(0, 300)].map((words) => (words ? `: ${words}` : '')).join('')
}

/** Looks once whether the guest has given its sign. */
function signOf(machine: Machine, guest: LibraryGuest): () => boolean {
  const { name, ready } = guest
  switch (ready.kind) {
    case 'none':
      return () => true
    case 'agent': {
      const ping = virsh('qemu-agent-command', name, '{"execute":"guest-ping"}', '--timeout', '5')
      return () => hasAgent(machine, name) && machine.run(ping).code === 0
    }
    case 'tcp': {
      const connect = [
        'timeout',
        '3',
        'bash',
        '-c',
        ': <"/dev/tcp/$0/$1"',
        addressOf(guest) ?? '',
        `${ready.port}`,
      ]
      return () => machine.run(connect).code === 0
    }
    case 'log': {
      const pattern = new RegExp(ready.pattern)
      const { console } = domainPaths(guest)
      return () => consoleLines(machine.readFile(console) ?? '').some((line) => pattern.test(line))
    }
  }
}

/**
 * Whether something in the guest has opened the agent's channel, by libvirt's status of the domain: pinging a guest that
 * still starts, each second, takes the CPU away from it (one start under emulation took 629 s so, and 360 s without).
 */
function hasAgent(machine: Machine, name: string): boolean {
  const status = machine.readFile(`/run/libvirt/qemu/${name}.xml`)
  return status === undefined || status.includes("name='org.qemu.guest_agent.0' state='connected'")
}

/** With a limit: a libvirt that hangs must not hold the other guests. */
export function virsh(...command: string[]): string[] {
  return ['timeout', '120', 'virsh', '-q', '-c', 'qemu:///system', ...command]
}
