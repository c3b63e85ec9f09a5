/**
 * The library's whole public face. The command line uses nothing else.
 *
 * A build in three lines:
 *
 *     const store = await Store.open(storeFolder())
 *     const run = { store, progress: silent }
 *     const { image } = await buildImage({ profile: 'my-stick.yaml', out: 'out' }, run)
 *
 * Everything that can go wrong for a reason that a user can mend is thrown as {@link KeyvisorError}.
 */
export type { Json, Sha256 } from './base/digests.js'
export { EXIT, Interrupted, KeyvisorError, type Position, type Problem } from './base/errors.js'
export { errorHint, errorWords, fileError } from './base/file-errors.js'
export type { JsonChange } from './base/json-changes.js'
export { type Progress, type ProgressEvent, silent } from './base/progress.js'
export { systemTools, type ToolCall, type ToolResult, type ToolRunner } from './base/tool.js'
export {
  type Bytes,
  formatBytes,
  formatCpus,
  GiB,
  KiB,
  type Lba,
  MiB,
  parseBytes,
  SECTOR,
  TiB,
} from './base/units.js'
export {
  ARTIFACT_KINDS,
  type ArtifactKind,
  type ArtifactsRequest,
} from './build/artifacts/artifacts.js'
export type { BundleForm } from './build/artifacts/bundle.js'
export type { Artifact } from './build/artifacts/kept.js'
export type { SignRequest } from './build/artifacts/sign.js'
export { type BuildRequest, type BuildResult, buildImage } from './build/build.js'
export { checkBuild, type Differences } from './build/check.js'
export type { ImageChange, LockChanges, PackageChange } from './build/compare-locks.js'
export { readContents, type StoreContents, type StoreEntry } from './build/contents.js'
export type { Explanation } from './build/explain.js'
export {
  type LockedSet,
  type LockProfileRequest,
  type LockReport,
  lockProfile,
} from './build/lock-profile.js'
export type { Manifest, ManifestGuest, ManifestPackage, ManifestPayload } from './build/manifest.js'
export {
  type FirmwarePreview,
  type GuestPreview,
  type PlanReport,
  planReport,
  type StagePreview,
} from './build/preview.js'
export { type Pruned, type PruneRequest, pruneStore } from './build/prune.js'
export type { StageRun } from './build/stage.js'
export { Store, storeFolder, storeLimit } from './build/store.js'
export { lockPath } from './build/take-lock.js'
export { diffTools } from './build/tools.js'
export { type Damage, type StoreHealth, verifyStore } from './build/verify.js'
export { version } from './build/version.js'
export { APPARMOR_PROFILE } from './debian/namespace.js'
export { printable } from './disk/bytes.js'
export type { Content } from './disk/identify.js'
export { type Evidence, type Fact, pcFacts, type Run, runOnMachine } from './lab/evidence.js'
export { writeEvidence } from './lab/evidence-files.js'
export type { Board } from './lab/machine.js'
export { chooseMachines, loadMachines, MACHINES_FILE, type Machine, machineWords } from './lab/machines.js'
export { type Check, type Proof, type ProveOptions, proveImage } from './lab/prove.js'
export type { Screen } from './lab/screens.js'
export type { Moment } from './lab/timeline.js'
export { type Link, saveReport, type Trial, type TrialOptions, withTrial } from './lab/trial.js'
export { type Walk, type WalkOptions, walkImage } from './lab/walk.js'
export type { Difference } from './media/compare.js'
export { type DiffOptions, diffImages, type ImageDiff } from './media/diff.js'
export { type InspectedPartition, type Inspection, inspectImage } from './media/inspect.js'
export type { Layout, LayoutPartition, PayloadName } from './plan/layout.js'
export type { DoneEvent, GuestEvent, HostEvent, ProblemEvent, ReportEvent } from './plan/report.js'
export { type Pc, type Sized, sizeGuests } from './plan/sizing.js'
export type { Accelerator, Firmware, GuestDefinition, GuestPlan, Lock, Plan, Ready } from './plan/types.js'
export { type LoadedProfile, loadProfile } from './profile/load.js'
export { formatProblem } from './profile/problems.js'
export type { Profile } from './profile/profile.gen.js'
export { starterProfile } from './profile/starter.js'
export { validateProfile } from './profile/validate.js'
