/**
 * Bases: every file that a plan's library needs, with what it is made from.
 */
import type { PlannedBase } from '../sources/source.js'
import { type GuestSource, sourceStage } from '../sources/sources.js'
import type { GuestPlan, Plan } from './types.js'

interface GuestBase extends PlannedBase<GuestSource> {
  guest: GuestPlan
}

/** Guest by guest, that of the first disk before the others'. */
export function plannedBases({ guests }: Pick<Plan, 'guests'>): GuestBase[] {
  return guests.flatMap((guest) => [
    { stage: sourceStage(guest), guest, source: guest.source },
    ...Object.entries(guest.images).map(([stage, source]) => ({ stage, guest, source })),
  ])
}
