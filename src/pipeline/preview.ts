/**
 * Preview: what `keyvisor plan` shows, as plain JSON: every decision before a byte is written.
 *
 * The lock is made where there is none, as `build` does: a plan without package versions decides nothing.
 */
import { KeyvisorError, type Problem } from '../base/errors.js'
import { type Bytes, KiB } from '../base/units.js'
import { type Pc, type Sized, sizeGuests } from '../guest/sizing.js'
import { lockedSet } from '../lock/lock.js'
import { FIRMWARE } from '../plan/firmware.js'
import type { GuestPlan, Plan } from '../plan/types.js'
import type { PrepareRequest } from '../prepare/prepare.js'
import { checkFits, type Layout } from '../stick/layout.js'
import type { ManifestPackage } from '../stick/manifest.js'
import type { Workplace } from '../store/workplace.js'
import { estimatedLayout, foreseeLayout, storedStage } from './estimate.js'
import { type PlannedBuild, planBuild } from './plan-build.js'
import { stageList } from './stages.js'

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
  layout: Layout
  /** Why the stick would not be built as it stands; null when everything fits. */
  obstacle: { code: string; message: string; hint: string | null } | null
  /** Every package of the host, with the version that the lock pins. */
  hostPackages: ManifestPackage[]
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
  packages: ManifestPackage[]
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
  const { layout, obstacle } = await layoutOf(prepared, place)
  return {
    profile: request.profile,
    lock: { path: prepared.lockFile, made: prepared.lockMade },
    plan,
    layout,
    obstacle,
    hostPackages: packagesOf(prepared, 'host'),
    firmware: firmwarePreviews(prepared),
    pc: request.on,
    guests: guestPreviews(prepared, request.on),
    stages: await Promise.all(
      stageList(stages).map(async (stage) => {
        const { name, title, key } = stage
        // The image is no object of the store: it is written where it shall be.
        const stored = stage !== stages.image && (await storedStage(place.store, stage)) !== undefined
        return { name, title, key, stored }
      }),
    ),
    warnings,
  }
}

async function layoutOf(
  { plan, stages }: PlannedBuild,
  { store }: Workplace,
): Promise<Pick<PlanReport, 'layout' | 'obstacle'>> {
  try {
    const layout = await foreseeLayout(plan, stages, store)
    checkFits(layout, plan.stick)
    return { layout, obstacle: null }
  } catch (error) {
    if (!(error instanceof KeyvisorError)) throw error
    const { code, message, hint = null } = error
    return { layout: await estimatedLayout(plan, stages, store), obstacle: { code, message, hint } }
  }
}

function packagesOf({ lock }: PlannedBuild, set: string): ManifestPackage[] {
  return lockedSet(lock, set).map(({ name, version, architecture }) => ({ name, version, architecture }))
}

function firmwarePreviews({ plan, lock }: PlannedBuild): FirmwarePreview[] {
  const installed = new Map(lockedSet(lock, 'host').map(({ name, stanza }) => [name, installedSize(stanza)]))
  return plan.host.firmware.map((name) => {
    const { title, packages } = FIRMWARE[name]
    const sizes = packages.map((item) => installed.get(item) ?? 0)
    return { name, title, packages: [...packages], installed: sizes.reduce((sum, size) => sum + size, 0) }
  })
}

/** Debian Policy, section 5.6.20: in KiB. */
function installedSize(stanza: string): Bytes {
  return Number(/^Installed-Size: (\d+)$/m.exec(stanza)?.[1] ?? 0) * KiB
}

function guestPreviews(prepared: PlannedBuild, pc: Pc): GuestPreview[] {
  const { guests } = prepared.plan
  const sizes = new Map(sizeGuests(guests, pc).map((sized) => [sized.name, sized]))
  return guests.map((definition) => ({
    definition,
    packages: definition.source.kind === 'debian' ? packagesOf(prepared, `guest.${definition.name}`) : [],
    sized: sizes.get(definition.name) as Sized,
  }))
}
