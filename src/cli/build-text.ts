/**
 * What `build` says at its end. Pure.
 */
import { basename } from 'node:path'
import { type BuildResult, type Bytes, formatBytes, type Published, shellWords } from '../index.js'

export interface Built
  extends Pick<BuildResult, 'manifestFile' | 'lockFile' | 'lockMade' | 'unchanged' | 'manifest'> {
  artifacts: Published['artifacts']
  size: Bytes
  allocated: Bytes
  /** SHA-256 of the image, where a second build gave the same; else null. */
  checked: string | null
  /** The image's path as the user would write it. */
  shown: string
  /** How the user calls Keyvisor. */
  program: string
}

export function buildText({
  unchanged,
  lockMade,
  lockFile,
  manifest,
  size,
  allocated,
  checked,
  artifacts,
  shown,
  program,
}: Built): string {
  const { image, guests } = manifest
  const manifestShown = shown.replace(/\.img$/, '.manifest.json')
  return [
    unchanged ? `nothing changed: ${shown} is as it was` : `built ${shown}`,
    `  image     ${formatBytes(size)}, of which ${formatBytes(allocated)} are taken on disk`,
    `  stick     ${formatBytes(image.smallestStick)} or larger`,
    `  guests    ${guests.map(({ name }) => name).join(', ') || 'none'}`,
    `  manifest  ${manifestShown}`,
    ...(checked ? [`  checked   a second build gave the same bytes, SHA-256 ${checked}`] : []),
    ...artifactLines(artifacts),
    ...(lockMade ? [`  lock      ${lockFile}: keep it, and the next build has the same packages`] : []),
    '',
    'next:',
    `  ${program} run ${shellWords([shown])}       try it in QEMU`,
    `  ${program} test ${shellWords([shown])}      boot it, and see whether every guest gets ready`,
    `  sudo dd if=${shellWords([shown])} of=/dev/sdX bs=4M conv=fsync status=progress`,
    '      write it to a stick: "lsblk" shows which; everything on /dev/sdX is lost',
  ].join('\n')
}

/** The image and its manifest, which come first, have lines of their own. */
function artifactLines(artifacts: Built['artifacts']): string[] {
  return artifacts
    .slice(2)
    .map(
      ({ path, size }, index) =>
        `  ${index === 0 ? 'beside it' : '         '} ${basename(path)}, ${formatBytes(size)}`,
    )
}
