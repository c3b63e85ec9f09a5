/**
 * Rules about the host: who can log in, where it is, how it reaches the network.
 */

import { overlap } from '../../base/ipv4.js'
import {
  GROUPS,
  isLayout,
  isLocale,
  isZone,
  layoutsMeant,
  layoutWith,
  localesMeant,
  USERS,
  variantsMeant,
  variantsOf,
  zonesMeant,
} from '../../stick/names.js'
import type { Finding } from '../../yaml/problems.js'
import { DEFAULTS, type HardwareFirmware } from '../../yaml/profile.gen.js'
import { entries } from '../../yaml/sound.js'
import { meantHint } from '../../yaml/wording.js'
import { keyFinding } from '../ssh.js'
import type { Rule } from './valid-parts.js'

const ADMIN = ['host', 'admin'] as const
const WIFI = ['host', 'network', 'wifi'] as const

const reservedName: Rule = function* ({ host }) {
  const name = host?.admin?.name
  if (name === undefined || (!USERS.has(name) && !GROUPS.has(name))) return
  const message = `every host has ${USERS.has(name) ? 'an account' : 'a group'} ${name}`
  yield { code: 'reserved-name', path: [...ADMIN, 'name'], message, hint: 'choose another name' }
}

const sshKeys: Rule = ({ host }) =>
  entries(host?.admin?.sshKeys, [...ADMIN, 'sshKeys']).flatMap(({ value, path }): Finding[] => {
    const found = keyFinding(value)
    return found ? [{ ...found, path }] : []
  })

/** A way in counts when it is given, also where what is given is wrong: that is reported by itself. */
const noLogin: Rule = function* (profile) {
  const refused =
    ('host' in profile && !profile.host) || (profile.host && 'admin' in profile.host && !profile.host.admin)
  if (refused) return
  const admin = profile.host?.admin ?? {}
  const isGiven = (key: 'sshKeys' | 'sshKeyFiles') => key in admin && admin[key]?.length !== 0
  if (isGiven('sshKeys') || isGiven('sshKeyFiles') || 'passwordHash' in admin) return
  const message = 'nobody can log in to the host: it has no SSH key and no password'
  yield { code: 'no-login', path: ADMIN, message, hint: 'name a public key in host.admin.sshKeyFiles' }
}

const timezone: Rule = function* ({ host }) {
  const zone = host?.timezone
  if (zone === undefined || isZone(zone)) return
  const message = `there is no time zone ${zone} on the stick`
  const hint = meantHint(zonesMeant(zone)) ?? 'take the name of a place, such as Europe/Paris'
  yield { code: 'unknown-timezone', path: ['host', 'timezone'], message, hint }
}

const locale: Rule = function* ({ host }) {
  const name = host?.locale
  if (name === undefined || isLocale(name)) return
  const message = `there is no UTF-8 locale ${name}`
  const hint = meantHint(localesMeant(name)) ?? 'take a name such as de_DE.UTF-8'
  yield { code: 'unknown-locale', path: ['host', 'locale'], message, hint }
}

const keyboard: Rule = function* ({ host }) {
  const layout = host?.keyboard
  if (layout === undefined || isLayout(layout)) return
  const message = `there is no keyboard layout ${layout}`
  const owner = layoutWith(layout)
  const hint = owner
    ? `${layout} is a variant: set keyboard to its layout, such as ${owner}, and keyboardVariant to ${layout}`
    : (meantHint(layoutsMeant(layout)) ?? 'take a name such as us, de or fr')
  yield { code: 'unknown-keyboard', path: ['host', 'keyboard'], message, hint }
}

const keyboardVariant: Rule = function* ({ host = {} }) {
  const variant = host.keyboardVariant
  const layout = 'keyboard' in host ? host.keyboard : DEFAULTS.host.keyboard
  if (variant === undefined || layout === undefined || !isLayout(layout)) return
  const known = variantsOf(layout)
  if (known.includes(variant)) return
  const message = `the keyboard layout ${layout} has no variant ${variant}`
  const none =
    known.length === 0 ? 'leave it out: this layout has no variants' : `take one of ${known.join(', ')}`
  const hint = meantHint(variantsMeant(layout, variant)) ?? none
  yield { code: 'unknown-keyboard', path: ['host', 'keyboardVariant'], message, hint }
}

const gateway: Rule = function* ({ host }) {
  const uplink = host?.network?.uplink
  if (typeof uplink !== 'object' || uplink.address === undefined || uplink.gateway === undefined) return
  if (overlap(uplink.address, uplink.gateway)) return
  yield {
    code: 'gateway-outside-subnet',
    path: ['host', 'network', 'uplink', 'gateway'],
    message: `${uplink.gateway} is not in the subnet of ${uplink.address}`,
    hint: 'correct the gateway, or the length of the prefix',
  }
}

const longSsid: Rule = ({ host }) =>
  entries(host?.network?.wifi, WIFI).flatMap(({ value: { ssid = '' }, path }): Finding[] => {
    const length = Buffer.byteLength(ssid)
    // IEEE 802.11, section 9.4.2.2.
    if (length <= 32) return []
    const message = `the network's name has ${length} bytes in UTF-8; the limit is 32`
    return [{ code: 'long-ssid', path: [...path, 'ssid'], message }]
  })

/** Names of host.firmware that serve Wi-Fi cards. */
const WIFI_FIRMWARE = new Set<HardwareFirmware | undefined>([
  ...(['atheros', 'broadcom-wifi', 'intel-wifi', 'ipw2x00', 'libertas'] as const),
  ...(['mediatek', 'realtek', 'ti-wifi', 'zd1211'] as const),
])

const wifiFirmware: Rule = function* ({ host }) {
  const networks = host?.network?.wifi ?? []
  if (networks.length === 0 || host?.firmware?.some((name) => WIFI_FIRMWARE.has(name))) return
  const message = 'the host has no firmware for Wi-Fi cards, and most do not work without'
  const hint = `add what the PC's card needs to host.firmware: ${[...WIFI_FIRMWARE].join(', ')}`
  yield { code: 'no-wifi-firmware', path: WIFI, message, hint }
}

export const hostRules: Rule[] = [
  reservedName,
  sshKeys,
  noLogin,
  timezone,
  locale,
  keyboard,
  keyboardVariant,
  gateway,
  longSsid,
  wifiFirmware,
]
