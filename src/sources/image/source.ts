/**
 * The kind `image`: a guest whose first disk begins with a disk image of the user's.
 *
 * The files of other drives are planned and taken the same way (`file.ts`, `disk.ts`), and are this kind in a plan.
 */
import { Keyed } from '../../base/keyed.js'
import { type Bytes, formatBytes } from '../../base/units.js'
import { stageOf } from '../../store/stage.js'
import type { Guest, ImageSource } from '../../yaml/profile.gen.js'
import type { Given, ImagePath, PlannedBase, SourceBuild, SourceKind } from '../source.js'
import { imageStage, occupiedBytes } from './disk.js'
import { driveFile, FIRST, importStage, type PlannedImage, planImage, virtualSize } from './file.js'

/** `Read`: what the file takes on its disk. */
export const image: SourceKind<ImageSource, PlannedImage, Bytes> = {
  kind: 'image',
  parts: ({ image: file, format }, path) => ({
    files: [],
    image: { file, format, path: [...path, 'image'] },
  }),
  outside: (written) => ({ file: pathOf(written) }),
  plan: planFirst,
  stage: (guest) => importStage(guest, FIRST),
  packages: () => undefined,
  read: ({ source }) => occupiedBytes(source.path),
  stages: imageStages,
  words: ({ path, format, size }) => `${path}, ${format} of ${formatBytes(size)}`,
}

function pathOf({ image: path, format }: ImageSource): ImagePath {
  return { path, format }
}

function planFirst(
  written: ImageSource,
  { name }: Guest,
  given: Given,
): { source: PlannedImage; size: Bytes } {
  const file = driveFile(name, FIRST, pathOf(written))
  const size = virtualSize(file, given.virtualSizes)
  return { source: planImage(file, given), size }
}

function imageStages(
  { stage, guest, source }: PlannedBase<PlannedImage>,
  occupied: Bytes,
  build: SourceBuild,
) {
  const { path, format, sha256, size } = source
  const what = stage === importStage(guest.name, FIRST) ? 'the image' : stage.split('.').at(-1)
  const inputs = { path: new Keyed(path, ''), format, sha256, size }
  const taken = imageStage(stage, `check ${what} of guest ${guest.name}`, inputs, occupied)
  return { base: stageOf(taken, build), before: [] }
}
