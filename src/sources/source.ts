/**
 * What a guest source is: where the base of a guest's first disk comes from. One kind is one folder of this room, whose
 * `source.ts` has all that is decided about it; `sources.ts` lists them, and nobody else tells one from another.
 *
 * Left out: the other drives (`drives.ts`), and how bases become a library (`library.ts`).
 */
import type { ArchitectureName } from '../arch/architecture.js'
import type { Bytes } from '../base/units.js'
import type { TreeInputs } from '../debian/tree.js'
import type { ImageFormat } from '../disk/image.js'
import type { Guest as GuestDefinition } from '../guest/definition.js'
import type { Common, Stage } from '../store/stage.js'
import type { ProfilePath } from '../yaml/problems.js'
import type { Guest, RootFile } from '../yaml/profile.gen.js'
import type { Placed, Sound } from '../yaml/sound.js'
import type { Base } from './base.js'

/**
 * A kind of source. `Written` is what a profile has, `Planned` what a plan has, and `Read` what is read from files for the
 * keys of its stages.
 */
export interface SourceKind<Written, Planned, Read> {
  /** As plans name it; in a profile it is the key that a source of this kind has, and no other. */
  readonly kind: string
  /** What rules look at. The schema may have refused any part of it. */
  parts(written: Sound<Written>, path: ProfilePath): SourceParts
  /** What a lock pins. */
  outside(written: Written, guest: Guest): Outside
  /** Everything that a profile leaves open. */
  plan(written: Written, guest: Guest, given: Given): { source: Planned; size: Bytes }
  /** What a plan calls a guest's base: the stage that makes it, where one does. */
  stage(guest: string): StageName
  /** The packages that the base is made of; undefined where nobody knows what is in it. */
  packages(source: Planned): AskedPackages | undefined
  /** Reads what the keys of its stages need from files. */
  read(base: PlannedBase<Planned>, architecture: ArchitectureName): Promise<Read>
  stages(base: PlannedBase<Planned>, read: Read, build: SourceBuild): SourceStages
  /** For people. `packages`: how many there are with their dependencies. */
  words(source: Planned, packages: number): string
}

/** Name of a stage of the build, such as `disk.web`. */
export type StageName = string

// ------------------------------------------------------------------------------------------ in a profile

export interface SourceParts {
  /** Of a disk that is built, in the profile's words or by default; absent where the disk has its size already. */
  size?: WrittenSize
  /** Those that the profile names; absent where nobody knows what is in the base. */
  packages?: string[]
  /** Files of the user's that go into it. */
  files: Placed<Sound<RootFile>>[]
  /** What the base is taken from. */
  image?: WrittenImage
}

/** A value that is undefined is one that the schema refuses. */
interface WrittenSize extends Placed<string | undefined> {
  /** It is not the default. */
  isGiven: boolean
}

/** An image or an ISO, where a profile names it. */
export interface WrittenImage {
  /** Undefined where the schema refuses it. */
  file: string | undefined
  path: ProfilePath
  /** Undefined where the schema refuses it. */
  format: ImageFormat | undefined
}

// ------------------------------------------------------------------------------------------ in a lock and a plan

/** What comes from outside: packages of Debian's, or a file of the user's. */
export interface Outside {
  packages?: AskedPackages
  file?: ImagePath
}

/** What is asked of Debian. */
export interface AskedPackages {
  suite: string
  packages: string[]
}

/** An image or an ISO. */
export interface ImagePath {
  /** As the profile has it. */
  path: string
  format: ImageFormat
}

/** What a plan takes from a lock. */
export interface Pins {
  /** Lines of sources.list(5) of each suite. */
  sources: Readonly<Record<string, string[]>>
  /** Files of the guests' drives, by the name that the lock gives them. */
  files: Readonly<Record<string, { sha256: string; size: Bytes }>>
}

/** What a plan is made from beside the profile. */
export interface Given {
  pins: Pins
  /** Absolute path of the folder that the profile's relative paths begin in. */
  folder: string
  /** Virtual size of the disk in each disk image, by the name that a lock has for it. */
  virtualSizes: Readonly<Record<string, Bytes>>
}

// ------------------------------------------------------------------------------------------ in a build

/** A base that a plan's library needs, and what it is made from. */
export interface PlannedBase<Planned> {
  /** The stage that makes it, where one does. */
  stage: StageName
  guest: GuestDefinition<StageName>
  source: Planned
}

/** What stages need that is not the source's own. */
export interface SourceBuild extends Common {
  architecture: ArchitectureName
  epoch: number
  /** Where the profile has the source, such as `guests[0].source.debian`: for errors. */
  place: string
  /** The guest's locked packages, as the stage takes them that installs them. */
  tree(asked: AskedPackages): Omit<TreeInputs, 'excludes' | 'drivers'>
}

export interface SourceStages {
  base: Base
  /** Those that the base is made from, in their order. */
  before: Stage[]
}
