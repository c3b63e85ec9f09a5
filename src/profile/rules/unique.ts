/**
 * Rules: names, numbers and places that only one can have. The later of two is reported.
 */

import type { Code } from '../../base/codes.js'
import { drivesOf } from '../../sources/drives.js'
import { type Finding, formatPath } from '../../yaml/problems.js'
import type { Guest } from '../../yaml/profile.gen.js'
import { entries, type Placed, type Sound } from '../../yaml/sound.js'
import { guestsOf, type Rule } from './valid-parts.js'

function* duplicates(
  code: Code,
  what: string,
  placed: Placed<string | number | undefined>[],
): Generator<Finding> {
  const taken = new Map<string | number, Placed<unknown>>()
  for (const { value, path } of placed) {
    if (value === undefined) continue
    const key = typeof value === 'string' ? value.toLowerCase() : value
    const first = taken.get(key)
    if (first) yield { code, path, message: `the ${what} ${value} is that of ${formatPath(first.path)} too` }
    else taken.set(key, { value, path })
  }
}

const names: Rule = (profile) =>
  duplicates(
    'duplicate-name',
    'name',
    guestsOf(profile).map(({ value, path }) => ({ value: value.name, path: [...path, 'name'] })),
  )

const uuids: Rule = (profile) =>
  duplicates(
    'duplicate-uuid',
    'UUID',
    guestsOf(profile).map(({ value, path }) => ({ value: value.uuid, path: [...path, 'uuid'] })),
  )

const orders: Rule = (profile) =>
  duplicates(
    'duplicate-order',
    'start order',
    guestsOf(profile).map(({ value, path }) => ({
      value: value.autostart ? value.autostart.order : undefined,
      path: [...path, 'autostart', 'order'],
    })),
  )

const macs: Rule = (profile) =>
  duplicates(
    'duplicate-mac',
    'MAC address',
    guestsOf(profile)
      .flatMap(({ value, path }) => entries(value.nics, [...path, 'nics']))
      .map(({ value, path }) => ({ value: value.mac, path: [...path, 'mac'] })),
  )

const hostPorts: Rule = (profile) =>
  duplicates(
    'duplicate-port',
    'port',
    guestsOf(profile)
      .flatMap(({ value, path }) => entries(value.ports, [...path, 'ports']))
      .map(({ value, path }) => ({ value: value.host, path: [...path, 'host'] })),
  )

const diskSerials: Rule = (profile) =>
  guestsOf(profile).flatMap((guest) => {
    const serials = drivesOf(guest).map((disk) => ({
      value: disk.value.serial,
      path: [...disk.path, 'serial'],
    }))
    return [...duplicates('duplicate-serial', 'serial', serials)]
  })

/** Vendor and product of each of a guest's USB devices, at the place of the device. */
function usbOf({ value, path }: Placed<Sound<Guest>>): Placed<string | undefined>[] {
  return entries(value.usb, [...path, 'usb']).map(({ value: { vendor, product }, path }) => ({
    value: vendor === undefined || product === undefined ? undefined : `${vendor}:${product}`,
    path,
  }))
}

/** One guest can have it at a time. Guests that a person starts may take turns with others, not with themselves. */
const usbDevices: Rule = (profile) => {
  const all = guestsOf(profile)
  const isStarted = ({ value }: Placed<Sound<Guest>>) => value.autostart !== false
  const groups = [all.filter(isStarted), ...all.filter((guest) => !isStarted(guest)).map((guest) => [guest])]
  return groups.flatMap((guests) => [...duplicates('duplicate-usb', 'USB device', guests.flatMap(usbOf))])
}

const shares: Rule = (profile) =>
  guestsOf(profile).flatMap(({ value, path }) => {
    const folders = entries(value.shares, [...path, 'shares'])
    const names = folders.map((share) => ({ value: share.value.name, path: [...share.path, 'name'] }))
    return [...duplicates('duplicate-share', 'shared folder', names)]
  })

export const uniqueRules: Rule[] = [names, uuids, orders, macs, hostPorts, diskSerials, usbDevices, shares]
