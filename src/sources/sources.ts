/**
 * The kinds of guest sources: the only list of them, and what is asked of one without knowing which it is.
 */
import type { ArchitectureName } from '../arch/architecture.js'
import type { Guest } from '../yaml/profile.gen.js'
import type { Placed, Sound } from '../yaml/sound.js'
import { debian } from './debian/source.js'
import { image } from './image/source.js'
import type {
  AskedPackages,
  Given,
  Outside,
  PlannedBase,
  SourceBuild,
  SourceKind,
  SourceParts,
  SourceStages,
  StageName,
} from './source.js'

export const SOURCES = [debian, image] as const

/** What a plan has of a guest's source. */
export type GuestSource = ReturnType<(typeof SOURCES)[number]['plan']>['source']

type Kind = SourceKind<Guest['source'], GuestSource, unknown>
const KINDS: readonly Kind[] = SOURCES

/** The kind of a source in a profile: a key that the schema refuses is there, without a value. */
function writtenKind(source: Sound<Guest['source']>): Kind | undefined {
  return KINDS.find(({ kind }) => (source as Record<string, unknown>)[kind] !== undefined)
}

function kindOf({ kind: wanted }: { kind: string }): Kind {
  const found = KINDS.find(({ kind }) => kind === wanted)
  if (!found) throw new Error(`BUG: there is no source ${wanted}`)
  return found
}

function validKind({ name, source }: Guest): Kind {
  const kind = writtenKind(source)
  if (!kind) throw new Error(`BUG: the source of guest ${name} is of no kind`)
  return kind
}

/** What rules look at, of a guest whose source the schema may have refused. */
export function sourceParts({ value: { source }, path }: Placed<Sound<Guest>>): SourceParts {
  const parts = source && writtenKind(source)?.parts(source, [...path, 'source'])
  return parts ?? { files: [] }
}

export function sourceOutside(guest: Guest): Outside {
  return validKind(guest).outside(guest.source, guest)
}

export function planSource(guest: Guest, given: Given): ReturnType<Kind['plan']> {
  return validKind(guest).plan(guest.source, guest, given)
}

/** The stage that makes the base of a guest's first disk. */
export function sourceStage({ name, source }: { name: string; source: GuestSource }): StageName {
  return kindOf(source).stage(name)
}

export function sourcePackages(source: GuestSource): AskedPackages | undefined {
  return kindOf(source).packages(source)
}

export function readSource(base: PlannedBase<GuestSource>, architecture: ArchitectureName): Promise<unknown> {
  return kindOf(base.source).read(base, architecture)
}

/** @param read what {@link readSource} gave */
export function sourceStages(
  base: PlannedBase<GuestSource>,
  read: unknown,
  build: SourceBuild,
): SourceStages {
  return kindOf(base.source).stages(base, read, build)
}

export function sourceWords(source: GuestSource, packages: number): string {
  return kindOf(source).words(source, packages)
}
