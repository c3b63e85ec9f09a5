/**
 * Preview: what `keyvisor plan` shows, as plain JSON: every decision before a byte is written.
 *
 * The lock is made where there is none, as `build` does: a plan without package versions decides nothing.
 */

import type { Problem } from '../base/errors.js'
import type { Bytes } from '../base/units.js'
import { type Pc, type Sized, sizeGuests } from '../guest/sizing.js'
import { type Fit, foreseeFit } from '../image/foresee.js'
import { type PlannedBuild, planBuild } from '../pipeline/plan-build.js'
import { imageParts, stageList, storedStages } from '../pipeline/stages.js'
import { FIRMWARE } from '../plan/firmware.js'
import { guestPackages, guestSet } from '../plan/packages.js'
import type { GuestPlan, Plan } from '../plan/types.js'
import type { PrepareRequest } from '../prepare/prepare.js'
import { installedSizes, type NamedPackage, namedPackages } from '../prepare/prepare.js'
import { foresee } from '../store/foresee.js'
import type { Workplace } from '../store/workplace.js'

export interface PlanRequest extends PrepareRequest {
  /** The PC that guests are sized for. */
  on: Pc
}

export interface PlanReport {
  /** As the user named it. */
  profile: string
  lock: { path: string; made: boolean }
  plan: Plan
  /** `estimated` unless the store has every payload. */
  layout: Fit['layout']
  /** Why the stick would not be built as it stands; null when everything fits. */
  obstacle: Fit['obstacle']
  /** Every package of the host, with the version that the lock pins. */
  hostPackages: NamedPackage[]
  /** The firmware that the profile names, or the default. */
  firmware: FirmwarePreview[]
  pc: Pc
  guests: GuestPreview[]
  /** In the order in which a build runs them. */
  stages: StagePreview[]
  warnings: Problem[]
}

export interface FirmwarePreview {
  name: string
  /** For people: the hardware that it is for. */
  title: string
  packages: string[]
  /** What its packages take unpacked, by their own account. */
  installed: Bytes
}

export interface GuestPreview {
  definition: GuestPlan
  /** Packages of a guest that is built from some; else empty. */
  packages: NamedPackage[]
  /** What it gets on the PC of the request. */
  sized: Sized
}

export interface StagePreview {
  name: string
  title: string
  key: string
  /** The store has its result: a build has nothing to do. */
  stored: boolean
}

/** Plans a profile without building. Throws as `prepare` does. */
export async function planReport(request: PlanRequest, place: Workplace): Promise<PlanReport> {
  const prepared = await planBuild(request, place)
  const { plan, stages, warnings } = prepared
  const foreseen = await foresee(storedStages(stages), place.store)
  const { layout, obstacle } = foreseeFit(plan, imageParts(stages), foreseen)
  return {
    profile: request.profile,
    lock: { path: prepared.lockFile, made: prepared.lockMade },
    plan,
    layout,
    obstacle,
    hostPackages: namedPackages(prepared, 'host'),
    firmware: firmwarePreviews(prepared),
    pc: request.on,
    guests: guestPreviews(prepared, request.on),
    stages: stageList(stages).map((stage) => {
      const { name, title, key } = stage
      return { name, title, key, stored: foreseen.record(stage) !== undefined }
    }),
    warnings,
  }
}

function firmwarePreviews(prepared: PlannedBuild): FirmwarePreview[] {
  const installed = installedSizes(prepared, 'host')
  return prepared.plan.host.firmware.map((name) => {
    const { title, packages } = FIRMWARE[name]
    const sizes = packages.map((item) => installed.get(item) ?? 0)
    return { name, title, packages: [...packages], installed: sizes.reduce((sum, size) => sum + size, 0) }
  })
}

function guestPreviews(prepared: PlannedBuild, pc: Pc): GuestPreview[] {
  const { guests } = prepared.plan
  const sizes = new Map(sizeGuests(guests, pc).map((sized) => [sized.name, sized]))
  return guests.map((definition) => ({
    definition,
    packages: guestPackages(definition) ? namedPackages(prepared, guestSet(definition)) : [],
    sized: sizes.get(definition.name) as Sized,
  }))
}
