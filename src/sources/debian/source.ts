/**
 * The kind `debian`: a guest whose disk is built from Debian packages.
 *
 * Left out: how its disk is made (`disk.ts`).
 */
import { Keyed } from '../../base/keyed.js'
import type { LaidFiles } from '../../debian/files.js'
import { stageOf } from '../../store/stage.js'
import type { ProfilePath } from '../../yaml/problems.js'
import { DEFAULTS, type DebianSource, type DebianTree } from '../../yaml/profile.gen.js'
import { entries, type Sound } from '../../yaml/sound.js'
import type { PlannedBase, SourceBuild, SourceKind, SourceParts } from '../source.js'
import { diskStage, guestFiles, guestTreeStage } from './disk.js'
import { askedPackages, type DebianPlan, planDebian } from './plan.js'

export const debian: SourceKind<DebianSource, DebianPlan, Keyed<LaidFiles>> = {
  kind: 'debian',
  parts: ({ debian: tree }, path) => (tree ? treeParts(tree, [...path, 'debian']) : { files: [] }),
  outside: (written, guest) => ({ packages: askedPackages(written, guest) }),
  plan: planDebian,
  stage: (guest) => `disk.${guest}`,
  packages: ({ suite, packages }) => ({ suite, packages }),
  read: ({ guest, source }, architecture) => guestFiles(guest, source, architecture),
  stages: debianStages,
  words: ({ suite, packages }, count) =>
    `Debian ${suite}, ${count} packages, for these: ${packages.join(' ')}`,
}

function treeParts(tree: Sound<DebianTree>, path: ProfilePath): SourceParts {
  const isGiven = 'size' in tree
  const packages = namedPackages(tree)
  return {
    size: { value: isGiven ? tree.size : DEFAULTS.debianTree.size, path: [...path, 'size'], isGiven },
    ...(packages && { packages }),
    files: entries(tree.files, [...path, 'files']),
  }
}

/** Undefined where the schema refuses one of them: it may be any. */
function namedPackages(tree: Sound<DebianTree>): string[] | undefined {
  if (!('packages' in tree)) return []
  return tree.packages?.every((name) => name !== undefined) ? tree.packages : undefined
}

function debianStages(
  { guest: { name, uuid }, source }: PlannedBase<DebianPlan>,
  files: Keyed<LaidFiles>,
  build: SourceBuild,
) {
  const { architecture, epoch } = build
  const { size, units } = source
  const tree = stageOf(guestTreeStage(name, build.tree(source)), build)
  const place = new Keyed(build.place, '')
  const disk = diskStage({ architecture, name, uuid, size, units, files, place, epoch }, tree)
  return { base: { kind: 'made' as const, stage: stageOf(disk, build) }, before: [tree] }
}
