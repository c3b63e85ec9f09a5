/** Every row. A new field of the profile gets one in the file of its part. */
import { GUEST_ROWS } from './guest.js'
import { HOST_ROWS } from './host.js'
import { NETWORK_ROWS } from './network.js'
import type { Row } from './row.js'
import { SOURCE_ROWS } from './source.js'
import { STICK_ROWS } from './stick.js'

export const ROWS: readonly Row[] = [
  ...STICK_ROWS,
  ...HOST_ROWS,
  ...NETWORK_ROWS,
  ...SOURCE_ROWS,
  ...GUEST_ROWS,
]
