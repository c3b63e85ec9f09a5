/**
 * The Plan: every decision taken before bytes exist, as plain JSON.
 *
 * Nothing in it is optional: what a profile leaves out was decided when the Plan was made. Types only.
 */
import type { Bytes } from '../base/units.js'
import type { PlannedFile } from '../debian/types.js'
import type { Guest, GuestNetwork } from '../guest/definition.js'
import type { ImageFormat } from '../profile/drive-files.js'
import type { StickPlan } from '../stick/definition.js'
import type { HardwareFirmware } from '../yaml/profile.gen.js'

/** What a plan takes from a lock. */
export interface Pins {
  /** SOURCE_DATE_EPOCH, seconds. */
  epoch: number
  /** Lines of sources.list(5) of each suite. */
  sources: Readonly<Record<string, string[]>>
  /** Files of the guests' drives, by the name that the lock gives them. */
  files: Readonly<Record<string, { sha256: string; size: Bytes }>>
}

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

/** Name of a stage of the build, such as `disk.web`. */
export type StageName = string

/** A guest whose bases are made by stages. */
export interface GuestPlan extends Guest<StageName> {
  /** Of its first disk. */
  source: GuestSource
  /** Of its other drives that have a base, by the stage that takes it. */
  images: Record<StageName, ImageFile>
}

export type GuestSource =
  | {
      kind: 'debian'
      suite: string
      /** Lines of the guest's own sources.list(5). */
      sources: string[]
      packages: string[]
      files: PlannedFile[]
      units: string[]
      size: Bytes
    }
  | ImageFile

/** An image or an ISO of the user's. */
export interface ImageFile {
  kind: 'image'
  path: string
  format: ImageFormat
  sha256: string
  size: Bytes
}
