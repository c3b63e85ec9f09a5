/**
 * The kind `image`: a guest whose first disk begins with a disk image of the user's.
 *
 * The files of other drives are planned and taken the same way (`file.ts`, `disk.ts`), and are this kind in a plan.
 */
import { Keyed } from '../../base/keyed.js'
import { type Bytes, formatBytes } from '../../base/units.js'
import { examineUserImage, imageFilesOf } from '../../disk/image-file.js'
import { stageOf } from '../../store/stage.js'
import type { ProfilePath } from '../../yaml/problems.js'
import type { Guest, ImageSource } from '../../yaml/profile.gen.js'
import type { Sound } from '../../yaml/sound.js'
import type {
  Given,
  ImagePath,
  PlannedBase,
  SourceBuild,
  SourceKind,
  SourceStages,
  WrittenImage,
} from '../source.js'
import { imageStage, isBase, occupiedBytes } from './disk.js'
import { driveFile, FIRST, formatOf, importStage, type PlannedImage, planImage, virtualSize } from './file.js'

export interface ReadImage {
  isBase: boolean
  /** What the file takes on its disk. */
  occupied: Bytes
}

export const image: SourceKind<ImageSource, PlannedImage, ReadImage> = {
  kind: 'image',
  parts: (source, path) => ({ files: [], image: writtenPart(source, path) }),
  outside: (written) => ({ file: pathOf(written) }),
  plan: planFirst,
  stage: (guest) => importStage(guest, FIRST),
  packages: () => undefined,
  read: readImage,
  stages: imageStages,
  words: ({ path, format, size }) => `${path}, ${format} of ${formatBytes(size)}`,
}

async function readImage({ source: { path, format } }: PlannedBase<PlannedImage>): Promise<ReadImage> {
  const found = await examineUserImage(path, format, path)
  return { isBase: isBase(found), occupied: await occupiedBytes(await imageFilesOf(path, format, path)) }
}

/** A format that is there and undefined is one that the schema refuses. */
function writtenPart(source: Sound<ImageSource>, path: ProfilePath): WrittenImage {
  const { image: file, format } = source
  const known = file === undefined || ('format' in source && format === undefined)
  return { file, format: known ? format : formatOf(file, format), path: [...path, 'image'] }
}

function pathOf({ image: path, format }: ImageSource): ImagePath {
  return { path, format: formatOf(path, format) }
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
  { isBase, occupied }: ReadImage,
  build: SourceBuild,
): SourceStages {
  const { path, format, sha256, size } = source
  if (isBase) return { base: { kind: 'given', file: { path, format, sha256, size } }, before: [] }
  const what = stage === importStage(guest.name, FIRST) ? 'the image' : stage.split('.').at(-1)
  const inputs = { path: new Keyed(path, ''), format, sha256, size }
  const made = imageStage(stage, `make a qcow2 of ${what} of guest ${guest.name}`, inputs, occupied)
  return { base: { kind: 'made', stage: stageOf(made, build) }, before: [] }
}
