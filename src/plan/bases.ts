/**
 * Bases: every file that a plan's library needs, with what it is made from.
 */
import type { GuestPlan, GuestSource, Plan, StageName } from './types.js'

export interface PlannedBase {
  /** Stage that makes it. */
  stage: StageName
  guest: GuestPlan
  source: GuestSource
}

/** Guest by guest, that of the first disk before the others'. */
export function plannedBases({ guests }: Pick<Plan, 'guests'>): PlannedBase[] {
  return guests.flatMap((guest) => [
    { stage: sourceStage(guest), guest, source: guest.source },
    ...Object.entries(guest.images).map(([stage, source]) => ({ stage, guest, source })),
  ])
}

/** The stage that makes the base of a guest's first disk. */
export function sourceStage({ name, source }: { name: string; source: GuestSource }): StageName {
  return source.kind === 'debian' ? `disk.${name}` : importStage(name, 'disk0')
}

/** The stage that takes the file of a drive. */
export function importStage(guest: string, drive: string): StageName {
  return drive === 'disk0' ? `import.${guest}` : `import.${guest}.${drive}`
}
