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

export type { Firmware } from './arch/architecture.js'
export type { Json, Sha256 } from './base/digests.js'
export { allocatedBytes } from './base/disk-usage.js'
export { EXIT, Interrupted, KeyvisorError, type Position, type Problem } from './base/errors.js'
export { errorHint, errorWords, fileError } from './base/file-errors.js'
export type { JsonChange } from './base/json-changes.js'
export { version } from './base/package.js'
export { type Progress, type ProgressEvent, silent } from './base/progress.js'
export { APPARMOR_PROFILE } from './base/sandbox.js'
export { shellWords } from './base/shell.js'
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
export { printable } from './disk/bytes.js'
export type { Content } from './disk/identify.js'
export type { Accelerator, Drive, Guest, Ready } from './guest/definition.js'
export type { DoneEvent, GuestEvent, HostEvent, ProblemEvent, ReportEvent } from './guest/report.js'
export { type Pc, type Sized, sizeGuests } from './guest/sizing.js'
export { type Evidence, type Fact, pcFacts, type Run, runOnMachine } from './lab/evidence.js'
export { writeEvidence } from './lab/evidence-files.js'
export { type Check, type Proof, type ProveOptions, proveImage } from './lab/prove.js'
export type { Screen } from './lab/screens.js'
export type { Moment } from './lab/timeline.js'
export { type Link, saveReport, type Trial, type TrialOptions, withTrial } from './lab/trial.js'
export { type Walk, type WalkOptions, walkImage } from './lab/walk.js'
export { lockPath } from './lock/choose.js'
export type { FileChange, LockChanges, PackageChange } from './lock/compare.js'
export type { Lock } from './lock/types.js'
export type { Difference } from './media/compare.js'
export { type DiffOptions, diffImages, type ImageDiff } from './media/diff.js'
export { type InspectedPartition, type Inspection, inspectImage } from './media/inspect.js'
export { chooseMachines, loadMachines, MACHINES_FILE, type Machine, machineWords } from './pc/catalogue.js'
export type { Board } from './pc/virtual-pc.js'
export { type BuildRequest, type BuildResult, buildImage } from './pipeline/build.js'
export { checkBuild, type Differences } from './pipeline/check.js'
export type { Explanation } from './pipeline/explain.js'
export type { GuestPlan, Plan } from './plan/types.js'
export {
  type LockedSet,
  type LockProfileRequest,
  type LockReport,
  lockProfile,
} from './prepare/lock-profile.js'
export {
  type FirmwarePreview,
  type GuestPreview,
  type PlanReport,
  planReport,
  type StagePreview,
} from './preview/preview.js'
export { type LoadedProfile, loadProfile } from './profile/load.js'
export { starterProfile } from './profile/starter.js'
export { validateProfile } from './profile/validate.js'
export type { BundleForm } from './publish/bundle.js'
export {
  ARTIFACT_KINDS,
  type ArtifactKind,
  type ArtifactsRequest,
  type Published,
  publishImage,
  readyArtifacts,
} from './publish/publish.js'
export type { Artifact } from './publish/reuse.js'
export type { SignRequest } from './publish/sign.js'
export { sourceWords } from './sources/sources.js'
export type { Layout, LayoutPartition } from './stick/layout.js'
export type { Manifest, ManifestGuest, ManifestPackage, ManifestPayload } from './stick/manifest.js'
export type { PayloadName } from './stick/partitions.js'
export { readContents, type StoreContents, type StoreEntry } from './store/inventory.js'
export { type Pruned, type PruneRequest, pruneStore } from './store/prune.js'
export { Store, storeFolder, storeLimit } from './store/store.js'
export { type Damage, type StoreHealth, verifyStore } from './store/verify.js'
export type { Workplace } from './store/workplace.js'
export { diffTools } from './tools/tools.js'
export { formatProblem } from './yaml/problems.js'
export type { Profile } from './yaml/profile.gen.js'
export { SCHEMA_FILE } from './yaml/profile-schema.js'
