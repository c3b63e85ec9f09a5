/**
 * Space: whether the disk has room for what is still to do, asked before the first byte is written.
 *
 * Rough and on the safe side: a build that is refused although it would just have fitted costs less than one that
 * fails at its end.
 */

import { type Bytes, MiB } from '../base/units.js'
import { payloadSizes } from '../image/foresee.js'
import { type Foreseen, foresee } from '../store/foresee.js'
import { checkFree } from '../store/space.js'
import type { Room } from '../store/stage.js'
import type { Store } from '../store/store.js'
import type { PlannedBuild } from './plan-build.js'
import { imageParts, type Stages, storedStages } from './stages.js'

/** Debian packages and the tools made of them, which come into the store before any stage runs. */
const PACKAGES: Room = { scratch: 0, result: 600 * MiB }

/** Stages that run at the same time have their scratch at the same time. */
const AT_ONCE = 2

/** Room that partition tables, manifests and rounding need beside the payloads. */
const MARGIN: Bytes = 64 * MiB

/** Throws `no-space`, with the figures, before the first byte is written. */
export async function checkSpace(
  { stages }: Pick<PlannedBuild, 'stages'>,
  store: Store,
  out: string,
): Promise<void> {
  const foreseen = await foresee(storedStages(stages), store)
  const need = storeNeed(openRooms(stages, foreseen))
  await checkFree(store.folder, need, 'the store', 'set KEYVISOR_STORE to a folder with more room')
  const { esp, root, library } = payloadSizes(imageParts(stages), foreseen)
  const hint = 'choose another folder with --out'
  await checkFree(out, esp + root + library + MARGIN, 'the folder of the image', hint)
}

/** Bytes that the store must have free for these; 0 when there are none. */
export function storeNeed(rooms: readonly Room[]): Bytes {
  if (rooms.length === 0) return 0
  const scratch = rooms.map((room) => room.scratch).sort((a, b) => b - a)
  const results = rooms.reduce((sum, room) => sum + room.result, 0)
  return results + scratch.slice(0, AT_ONCE).reduce((sum, bytes) => sum + bytes, 0) + MARGIN
}

/** What every stage needs whose result the store does not have. */
function openRooms(stages: Stages, { record, sizeOf }: Foreseen): Room[] {
  const open = storedStages(stages).filter((stage) => !record(stage))
  const installs = open.some(({ inputs }) => 'packages' in inputs)
  return [...open.map((stage) => stage.room(sizeOf)), ...(installs ? [PACKAGES] : [])]
}
