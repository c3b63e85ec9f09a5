/**
 * Rules about one guest at a time, and its ties to the host.
 */
import { formatBytes } from '../../base/units.js'
import { MOST_DEVICES, mostCompatibleDrives, refusesSecureBoot } from '../../guest/hypervisors.js'
import { drivesOf, isCdrom } from '../../sources/drives.js'
import { sourceParts } from '../../sources/sources.js'
import { isMachine, machinesMeant } from '../../stick/names.js'
import type { Finding } from '../../yaml/problems.js'
import { DEFAULTS, type Guest } from '../../yaml/profile.gen.js'
import { entries, type Placed, type Sound } from '../../yaml/sound.js'
import { meantHint } from '../../yaml/wording.js'
import { bytesOf, guestsOf, memoryOf, type Rule, rangeOf } from './valid-parts.js'

/** Of the stick's own SSH server. */
const SSH_PORT = 22

type GuestRule = (guest: Placed<Sound<Guest>>) => Iterable<Finding>

/** Whether no network card of a guest is on `nat`, where its address is known; the default has one there. */
const hasNoNat = (guest: Sound<Guest>) => guest.nics?.every((nic) => nic?.network === 'bridge')

const memory: GuestRule = function* ({ value, path }) {
  const range = memoryOf(value)
  if (!range || range.min <= range.max) return
  const message = `the least memory, ${formatBytes(range.min)}, is above the most, ${formatBytes(range.max)}`
  yield { code: 'min-above-max', path: [...path, 'memory', 'min'], message }
}

const cpus: GuestRule = function* ({ value, path }) {
  const range = rangeOf(value.cpus, Number)
  if (!range || range.min <= range.max) return
  const message = `the least number of CPUs, ${range.min}, is above the most, ${range.max}`
  yield { code: 'min-above-max', path: [...path, 'cpus', 'min'], message }
}

const regex: GuestRule = function* ({ value, path }) {
  if (typeof value.ready !== 'object' || !('log' in value.ready) || value.ready.log === undefined) return
  try {
    new RegExp(value.ready.log)
  } catch (error) {
    const reason = (error as Error).message.replace(/^Invalid regular expression: /, '')
    const message = `the regular expression does not compile: ${reason}`
    yield { code: 'bad-regex', path: [...path, 'ready', 'log'], message }
  }
}

const readyNic: GuestRule = function* ({ value, path }) {
  if (!hasNoNat(value) || typeof value.ready !== 'object' || !('tcp' in value.ready)) return
  const message = '`ready: {tcp: …}` needs a network card on nat, which this guest does not have'
  yield { code: 'no-nic', path: [...path, 'ready', 'tcp'], message, hint: 'add {network: nat} to its nics' }
}

const portsNic: GuestRule = function* ({ value, path }) {
  if (!hasNoNat(value) || !value.ports?.length) return
  const message = 'ports lead into the guest, and it has no network card on nat'
  yield { code: 'no-nic', path: [...path, 'ports'], message, hint: 'add {network: nat} to its nics' }
}

const sshPort: GuestRule = ({ value, path }) =>
  entries(value.ports, [...path, 'ports'])
    .filter((port) => port.value.host === SSH_PORT)
    .map((port) => ({
      code: 'reserved-port',
      path: [...port.path, 'host'],
      message: `port ${SSH_PORT} of the stick is its own SSH server's`,
      hint: 'take another port, such as 2222',
    }))

const agent: GuestRule = function* (guest) {
  const { value, path } = guest
  const { packages } = sourceParts(guest)
  if (value.ready !== 'agent' || !packages || packages.includes('qemu-guest-agent')) return
  const message = '`ready: agent` needs qemu-guest-agent, which this guest does not install'
  const hint = `add qemu-guest-agent to the guest's packages`
  yield { code: 'agent-missing', path: [...path, 'ready'], message, hint }
}

/** The lowest bit of the first byte marks a group address (IEEE 802, section 8.2.2). */
const multicast: GuestRule = ({ value, path }) =>
  entries(value.nics, [...path, 'nics']).flatMap((nic): Finding[] => {
    const { mac } = nic.value
    if (mac === undefined || (Number.parseInt(mac.slice(0, 2), 16) & 1) === 0) return []
    const message = `${mac} is a group address: its first byte is odd`
    const hint = 'take one that begins with 52:54:00'
    return [{ code: 'multicast-mac', path: [...nic.path, 'mac'], message, hint }]
  })

const secureBoot: GuestRule = function* ({ value, path }) {
  const message = value.firmware === 'uefi-secure' && value.machine && refusesSecureBoot(value.machine)
  if (!message) return
  const hint = `take ${DEFAULTS.guest.machine}`
  yield { code: 'no-secure-boot', path: [...path, 'firmware'], message, hint }
}

const machine: GuestRule = function* ({ value, path }) {
  const name = value.machine
  if (name === undefined || isMachine(name)) return
  const message = `QEMU on the stick has no machine type ${name}`
  const hint = meantHint(machinesMeant(name))
  yield { code: 'unknown-machine', path: [...path, 'machine'], message, hint }
}

const diskBelowBase: GuestRule = function* (guest) {
  const { value, path } = guest
  const base = sourceParts(guest).size
  if (!base || value.disk === undefined) return
  if (bytesOf(value.disk) >= bytesOf(base.value)) return
  const message = `${value.disk} is less than the base image has (${base.value})`
  yield { code: 'disk-smaller-than-base', path: [...path, 'disk'], message }
}

/** Of each kind as many as the guest's machine has places for. */
const driveCount: GuestRule = function* (guest) {
  const drives = drivesOf(guest)
  const cdroms = drives.filter(({ value }) => isCdrom(value))
  const disks = drives.filter(({ value }) => !isCdrom(value))
  const tooMany = (what: string, most: number, found: Placed<unknown>[]): Finding[] => {
    const first = found[most]
    return first
      ? [{ code: 'too-many', path: first.path, message: `a guest has at most ${most} ${what}` }]
      : []
  }
  yield* tooMany('disks beside its first', MOST_DEVICES.disks - 1, disks)
  yield* tooMany('CDs', MOST_DEVICES.cdroms, cdroms)
  if (guest.value.virtio !== false) return
  const most = mostCompatibleDrives(guest.value.machine ?? DEFAULTS.guest.machine)
  yield* tooMany('disks and CDs beside its first without virtio', most - 1, drives)
}

const GUEST_RULES: GuestRule[] = [
  memory,
  cpus,
  regex,
  readyNic,
  portsNic,
  sshPort,
  agent,
  multicast,
  secureBoot,
  machine,
  diskBelowBase,
  driveCount,
]

/** A value that the schema refused is no answer: that is reported by itself. */
const bridge: Rule = (profile) => {
  const { host } = profile
  const isRefused =
    ('host' in profile && !host) ||
    (host && 'network' in host && !host.network) ||
    (host?.network && 'bridge' in host.network && host.network.bridge === undefined)
  if (isRefused || host?.network?.bridge) return []
  return guestsOf(profile)
    .flatMap(({ value, path }) => entries(value.nics, [...path, 'nics']))
    .filter(({ value }) => value.network === 'bridge')
    .map(({ path }) => ({
      code: 'no-bridge',
      path: [...path, 'network'],
      message: 'the card is on the bridge, and the host has none',
      hint: 'set host.network.bridge to true',
    }))
}

export const guestRules: Rule[] = [
  ...GUEST_RULES.map(
    (rule): Rule =>
      (profile) =>
        guestsOf(profile).flatMap((guest) => [...rule(guest)]),
  ),
  bridge,
]
