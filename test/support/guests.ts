/**
 * Guests for tests: four that together use every kind of firmware, machine, disk, port, device and network.
 */

import { ARCHITECTURES } from '../../src/arch/architecture.js'
import { GiB, MiB } from '../../src/base/units.js'
import type { Drive, GuestHardware, LibraryFile, LibraryGuest } from '../../src/guest/definition.js'
import { hypervisorOn } from '../../src/guest/hypervisors.js'

/** What runs the guests of today's sticks. */
export const HYPERVISOR = hypervisorOn(ARCHITECTURES.amd64)

const BASE = 'ab'.repeat(32)
export const BASE_FILE: LibraryFile = { file: `${BASE}.qcow2`, sha256: BASE, size: 2 * GiB }
export const ISO_FILE: LibraryFile = { file: `${'12'.repeat(32)}.iso`, sha256: '12'.repeat(32), size: MiB }

export const HARDWARE: GuestHardware = {
  machine: 'pc-q35-10.0',
  firmware: 'uefi',
  tpm: false,
  hyperv: false,
  clock: 'utc',
  devices: 'virtio',
}

export const DISK: Drive<LibraryFile> = {
  kind: 'overlay',
  base: BASE_FILE,
  size: 2 * GiB,
  serial: 'KVDISK0',
}

export function guest(name: string, changes: Partial<LibraryGuest> = {}): LibraryGuest {
  return {
    name,
    uuid: '0f5a1c9e-7d7b-8c53-8e0c-3a1f4f6f2a10',
    serial: 'KV0123456789ABCDEF01',
    hardware: HARDWARE,
    cpus: { min: 1, max: 2 },
    memory: { min: 256 * MiB, max: GiB },
    drives: [DISK],
    nics: [{ network: 'keyvisor', mac: '52:54:00:12:34:56', address: '172.29.86.20' }],
    ports: [],
    usb: [],
    shares: [],
    autostart: 10,
    changes: 'keep',
    ready: { kind: 'none' },
    definition: 'cd'.repeat(32),
    ...changes,
  }
}

export const counter = guest('counter', {
  drives: [DISK, { kind: 'empty', size: GiB, serial: 'KVDISK1' }],
  ports: [{ host: 8080, guest: 80 }],
  ready: { kind: 'tcp', port: 80 },
})

export const old = guest('old', {
  uuid: '0f5a1c9e-7d7b-8c53-8e0c-3a1f4f6f2a11',
  hardware: { ...HARDWARE, machine: 'pc-i440fx-10.0', firmware: 'bios' },
  autostart: 20,
  changes: 'discard',
  nics: [],
  ready: { kind: 'log', pattern: 'login:' },
})

export const locked = guest('locked', {
  uuid: '0f5a1c9e-7d7b-8c53-8e0c-3a1f4f6f2a12',
  hardware: { ...HARDWARE, firmware: 'uefi-secure', tpm: true },
  autostart: null,
  cpus: { min: 4, max: 4 },
  nics: [
    { network: 'keyvisor', mac: '52:54:00:12:34:57', address: '172.29.86.21' },
    { network: 'keyvisor', mac: '52:54:00:12:34:58', address: '172.29.86.22' },
  ],
  ports: [{ host: 2222, guest: 22 }],
  ready: { kind: 'agent' },
})

export const bench = guest('bench', {
  uuid: '0f5a1c9e-7d7b-8c53-8e0c-3a1f4f6f2a13',
  autostart: 30,
  nics: [
    { bridge: 'br0', mac: '52:54:00:12:34:59', address: null },
    { network: 'keyvisor', mac: '52:54:00:12:34:5a', address: '172.29.86.23' },
  ],
  ports: [{ host: 8443, guest: 443 }],
  usb: [
    { vendor: '046d', product: 'c52b' },
    { vendor: '0403', product: '6001' },
  ],
  shares: [{ name: 'exchange' }, { name: 'bench-only' }],
})
