/**
 * The Plan: every decision taken before bytes exist, as plain JSON.
 *
 * Nothing in it is optional: what a profile leaves out was decided when the Plan was made. Types only.
 */
import type { PlannedFile } from '../debian/types.js'
import type { Guest, GuestNetwork } from '../guest/definition.js'
import type { PlannedImage } from '../sources/image/file.js'
import type { StageName } from '../sources/source.js'
import type { GuestSource } from '../sources/sources.js'
import type { StickPlan } from '../stick/definition.js'
import type { HardwareFirmware } from '../yaml/profile.gen.js'

export interface Plan {
  version: 1
  name: string
  /** SOURCE_DATE_EPOCH, seconds. */
  epoch: number
  stick: StickPlan
  host: HostPlan
  network: GuestNetwork
  guests: GuestPlan[]
}

export interface HostPlan {
  suite: string
  hostname: string
  locale: string
  /** As keyboard(5) has them; two layouts with commas between. */
  keyboard: { layout: string; variant: string; options: string }
  timezone: string
  /** `password`: whether there is one; its hash is a secret (secrets.ts). */
  admin: { name: string; sshKeys: string[]; password: boolean }
  uplink: Uplink
  /** Bridge of which the PC's wired card is a port, and that has the uplink's address; null: none. */
  bridge: string | null
  /** Networks that are joined; their passphrases are secrets (secrets.ts). */
  wifi: { ssid: string }[]
  /** Names of firmware.ts, in the profile's order. */
  firmware: HardwareFirmware[]
  /** Every package asked for, the host's own among them, sorted. */
  packages: string[]
  files: PlannedFile[]
  /** Kernel arguments that do not depend on payloads. */
  kernelArguments: string[]
}

export type Uplink = { kind: 'dhcp' } | { kind: 'static'; address: string; gateway: string; dns: string[] }

/** A guest whose bases are made by stages. */
export interface GuestPlan extends Guest<StageName> {
  /** Of its first disk. */
  source: GuestSource
  /** Of its other drives that have a base, by the stage that takes it. */
  images: Record<StageName, PlannedImage>
}
