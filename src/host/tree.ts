/**
 * The host's tree: its packages, without what no stick needs.
 */
import { GiB, MiB } from '../base/units.js'
import { type TreeInputs, treeStage } from '../debian/tree.js'

/**
 * Drivers that no host of virtual machines needs: a third of the kernel's modules. Which of them stay because a kept module
 * needs them is found in the tree (`debian/tree.sh`).
 */
const EXCLUDED_DRIVERS = [
  'sound',
  'drivers/media',
  'drivers/staging',
  'drivers/infiniband',
  'drivers/isdn',
  'drivers/iio',
  'drivers/gpu/drm/amd',
  'drivers/gpu/drm/nouveau',
  'drivers/gpu/drm/xe',
  'drivers/accel',
]

/** What is not unpacked into a host's tree: nobody reads manuals on a stick. */
export const HOST_EXCLUDES = [
  ...['doc', 'man', 'info', 'locale', 'lintian', 'bug'].map((name) => `path-exclude=/usr/share/${name}/*`),
  'path-include=/usr/share/doc/*/copyright',
]

/** An unpacked host takes some 900 MiB, and is packed to a quarter of that. */
const ROOM = { scratch: GiB, result: 300 * MiB }

export function hostTreeStage(packages: Omit<TreeInputs, 'excludes' | 'drivers'>) {
  const inputs = { ...packages, excludes: HOST_EXCLUDES, drivers: EXCLUDED_DRIVERS }
  return treeStage('tree.host', 'install the host', inputs, ROOM)
}
