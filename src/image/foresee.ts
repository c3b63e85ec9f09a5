/**
 * What is known of the image before it is made.
 */
import { KeyvisorError } from '../base/errors.js'
import type { Bytes } from '../base/units.js'
import { checkFits, estimateLayout, type Layout, layoutStick, type Payloads } from '../stick/layout.js'
import type { PayloadName } from '../stick/partitions.js'
import type { Foreseen } from '../store/foresee.js'
import { type ImageParts, laidPayload, PAYLOADS, type PlannedImage } from './image.js'

/** A layout, and why the stick cannot be built so; null where everything fits. */
export interface Fit {
  layout: Layout
  obstacle: { code: string; message: string; hint: string | null } | null
}

/** The layout that a build will have, or would have if there were room. */
export function foreseeFit(plan: PlannedImage, parts: ImageParts, foreseen: Foreseen): Fit {
  try {
    const layout = foreseeLayout(plan, parts, foreseen)
    checkFits(layout, plan.stick)
    return { layout, obstacle: null }
  } catch (error) {
    if (!(error instanceof KeyvisorError)) throw error
    const { code, message, hint = null } = error
    return { layout: estimatedLayout(plan, parts, foreseen), obstacle: { code, message, hint } }
  }
}

const NAMES = Object.keys(PAYLOADS) as PayloadName[]

/**
 * The layout that a build will have: exact when the store has every payload, else an estimate. Throws, where it is
 * exact, what layoutStick throws.
 */
export function foreseeLayout({ stick, name }: PlannedImage, parts: ImageParts, foreseen: Foreseen): Layout {
  const found = NAMES.map((payload) => {
    const record = foreseen.record(parts[PAYLOADS[payload][0]])
    return [payload, record && laidPayload(payload, record)] as const
  })
  if (found.some(([, laid]) => laid === undefined)) return estimatedLayout({ stick }, parts, foreseen)
  return layoutStick(stick, name, Object.fromEntries(found) as Payloads)
}

/** The same from sizes alone: no GUIDs, and nothing is checked. */
function estimatedLayout(
  { stick }: Pick<PlannedImage, 'stick'>,
  parts: ImageParts,
  foreseen: Foreseen,
): Layout {
  return estimateLayout(stick, payloadSizes(parts, foreseen))
}

/** Bytes of each payload, measured or estimated. */
export function payloadSizes(parts: ImageParts, { record, sizeOf }: Foreseen): Record<PayloadName, Bytes> {
  const size = (payload: PayloadName) => {
    const [part, object] = PAYLOADS[payload]
    const found = record(parts[part])
    return (found && laidPayload(payload, found)?.size) ?? sizeOf(parts[part], object)
  }
  return {
    biosBoot: size('biosBoot'),
    esp: size('esp'),
    root: size('root'),
    settings: size('settings'),
    library: size('library'),
  }
}
