/**
 * One guest's start: its disks, its domain, and the wait for its sign.
 *
 * Everything here throws an Error whose message is for a person: it becomes the reason of a failed guest.
 * Left out: a definition that a new build changed. An existing domain is only adapted.
 */
import { adaptDomain, domainPaths, domainXml } from '../plan/domain.js'
import { consoleLines } from '../plan/report.js'
import type { Sized } from '../plan/sizing.js'
import type { Accelerator, LibraryGuest } from '../plan/types.js'
import { type Machine, must } from './machine.js'

/** Where the library is mounted. */
export const LIBRARY = '/run/keyvisor/library'

/** Seconds that a guest has for its sign. Emulation is five to ten times slower than KVM. */
const PATIENCE: Record<Accelerator, number> = { kvm: 300, tcg: 900 }

/** Milliseconds between two looks for it. */
const LOOK_EVERY = 1000

/**
 * Overlays allocate in 4 KiB steps inside 128 KiB clusters, which spares a stick the copying of whole clusters
 * (qcow2.txt, "Extended L2 Entries").
 */
const QCOW2_OPTIONS = 'cluster_size=128k,extended_l2=on'

/** Makes what is missing of the guest's disks. An overlay of another base is an error, never touched. */
export function prepareDisks(machine: Machine, guest: LibraryGuest): void {
  const paths = domainPaths(guest)
  const base = `${LIBRARY}/${guest.base.file}`
  if (!machine.exists(base)) throw new Error(`the library does not hold its base image ${guest.base.sha256}`)
  must(machine, ['mkdir', '-p', '-m', '0711', '/data/guests', paths.folder])
  if (machine.exists(paths.disk)) checkOverlay(machine, paths.disk, base)
  else createDisk(machine, paths.disk, guest.disk.size, ['-F', 'qcow2', '-b', base])
  guest.disks.forEach((disk, index) => {
    const path = paths.disks[index] as string
    if (!machine.exists(path)) createDisk(machine, path, disk.size, [])
  })
}

/** On another base an overlay would be read as garbage, silently. */
function checkOverlay(machine: Machine, overlay: string, base: string): void {
  const text = must(machine, ['qemu-img', 'info', '-U', '-f', 'qcow2', '--output=json', overlay])
  const backing = (JSON.parse(text) as { 'backing-filename'?: string })['backing-filename']
  if (backing !== base)
    throw new Error(`its overlay belongs to ${backing ?? 'no base image'}, not to ${base}`)
}

/** Under its final name there is only ever a whole disk, also when the stick is pulled meanwhile. */
function createDisk(machine: Machine, path: string, size: number, backing: string[]): void {
  const unfinished = `${path}.new`
  const create = ['qemu-img', 'create', '-q', '-f', 'qcow2', ...backing, '-o', QCOW2_OPTIONS]
  must(machine, [...create, unfinished, String(size)])
  must(machine, ['sync', unfinished])
  must(machine, ['mv', '-T', unfinished, path])
  must(machine, ['sync', path.slice(0, path.lastIndexOf('/'))])
}

/** Defines the domain, or adapts the one that is there to this PC. */
export function defineDomain(machine: Machine, guest: LibraryGuest, sized: Sized): void {
  const existing = readDomain(machine, guest.name)
  const wanted = existing === undefined ? domainXml(guest, sized) : adaptDomain(existing, sized)
  if (wanted === existing) return
  const file = `/run/keyvisor/${guest.name}.xml`
  machine.writeFile(file, wanted)
  must(machine, virsh('define', file))
}

/** Undefined only when libvirt says that there is none: a domain that a user changed must not be replaced. */
function readDomain(machine: Machine, name: string): string | undefined {
  const argv = virsh('dumpxml', '--inactive', name)
  const { code, stdout, stderr } = machine.run(argv)
  if (code === 0) return stdout
  if (stderr.includes('failed to get domain')) return undefined
  throw new Error(`libvirt does not answer: ${stderr.trim()}`)
}

export function startDomain(machine: Machine, guest: LibraryGuest): void {
  must(machine, virsh('start', guest.name))
}

/** libvirt keeps this file while the guest's QEMU runs; asking virsh would cost 0.3 s under emulation. */
export function isRunning(machine: Machine, { name }: Pick<LibraryGuest, 'name'>): boolean {
  return machine.exists(`/run/libvirt/qemu/${name}.pid`)
}

/** Waits for the sign that the profile names. Throws Error when the guest ends, or gives none in time. */
export function awaitSign(machine: Machine, guest: LibraryGuest, accelerator: Accelerator): void {
  const gaveSign = signOf(machine, guest)
  const deadline = machine.now() + PATIENCE[accelerator] * 1000
  while (!gaveSign()) {
    if (!isRunning(machine, guest)) throw new Error('it ended before it was ready')
    if (machine.now() > deadline) throw new Error(`it gave no sign within ${PATIENCE[accelerator]} s`)
    machine.sleep(LOOK_EVERY)
  }
}

/** Looks once whether the guest has given its sign. */
function signOf(machine: Machine, guest: LibraryGuest): () => boolean {
  const { name, ready } = guest
  switch (ready.kind) {
    case 'none':
      return () => true
    case 'agent': {
      const ping = virsh('qemu-agent-command', name, '{"execute":"guest-ping"}', '--timeout', '5')
      return () => machine.run(ping).code === 0
    }
    case 'tcp': {
      const connect = [
        'timeout',
        '3',
        'bash',
        '-c',
        ': <"/dev/tcp/$0/$1"',
        guest.nics[0]?.address ?? '',
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

/** With a limit: a libvirt that hangs must not hold the other guests. */
export function virsh(...command: string[]): string[] {
  return ['timeout', '120', 'virsh', '-q', '-c', 'qemu:///system', ...command]
}
